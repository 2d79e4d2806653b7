-- Claims a new contact while nothing is unusual, and ends the script. Most claims are such: they take the shortest way, before
-- `common` is defined. Reads the arguments of `claim`, and the record for it. Needs: upstream, earlier.

-- Returns one field after the other, as HGETALL returns them; and the same by name.
local function read_record()
  local fields, record = redis.call('HGETALL', RECORD), {}
  for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end
  return fields, record
end

local fields, record = read_record()
if record.identifier and rename_fields() then fields, record = read_record() end

-- What makes a claim unusual.
local OTHERS = { FIELD.contact_id, 'deletes', 'operation', 'unknown_since', 'cause', 'resolution', 'ahead', 'look_up_at' }

local function is_new()
  if not args.sends or record[FIELD.state] ~= 'pending' then return false end
  for _, field in ipairs(OTHERS) do
    if record[field] then return false end
  end
  return redis.call('EXISTS', PREFIX .. 'inboxes') == 0
end

local function claim_new(up)
  local wait, apart = reserve(1, 0, up)
  if not wait then
    redis.call('ZADD', DUE, NEW * LANE + apart, key)
    return { 'paced' }
  end
  local lease_until, number = now + args.lease_ms, tonumber(record.attempts_made or 0) + 1
  redis.call('ZREM', PREFIX .. 'state:pending', key)
  redis.call('ZADD', PREFIX .. 'state:sending', now, key)
  redis.call('HSET', RECORD, FIELD.state, 'sending', 'token', args.token, 'lease_until', lease_until, 'attempts_made', number)
  redis.call('ZADD', DUE, RETRY * LANE + lease_until, key)
  fields[#fields + 1], fields[#fields + 2] = 'attempts_made', tostring(number)
  return { 'claimed', now, lease_until, wait, apart, up[6] or 0, 0, redis.call('GET', SALT), unpack(fields) }
end

if is_new() then
  local up = redis.call('HMGET', UPSTREAM, 'slot', 'pace', 'reserved', 'paused_at', 'stop', 'created_at')
  if not up[4] and not up[5] then
    redis.call('SREM', PREFIX .. 'failing', '') -- see write_even_when_full
    return claim_new(up)
  end
end
