-- Gives the caller the lease on one contact, if it may be worked on now, and its request to LiveDesk a time. Safe to run
-- twice: the token is the caller's.
--
-- ARGV   [3] token   [4] length of the lease in ms   [5] requests a second, 0 for no limit   [6] look-ups a second
--        [7] inbox of contacts that name none ('' for none)   [8] 1 if LiveDesk will be asked, else 0
-- Returns {'claimed', now, lease_until, ms to wait before the first request and from that to the next, answered_at,
--         salt, field, value, ...} with the record, or {reason}: 'gone' (no such record), 'closed', 'busy' (somebody else's lease), 'early' (its time has not
--         come), 'paused' (by an operator), 'stopped' (LiveDesk is down or we are misconfigured), 'held' (its inbox is),
--         'paced' (there is no room now). After the last four it waits in `due`.

local record = redis.call('HMGET', RECORD, 'state', 'token', 'lease_until', 'next_attempt_at', 'unknown_since', 'data',
  'operation')
local state, token, lease_until = record[1], record[2], tonumber(record[3] or 0)
if not state then return { 'gone' } end
if not is_open(state) then return { 'closed' } end

local wait, apart = 0, 0

-- Whether the contact's inbox is held. The first that comes when a probe is due is that probe.
local function is_held()
  local inbox = string.match(record[6] or '', '^{"inbox_id":(%d+)') or ARGV[7]
  local probe_at = redis.call('HGET', INBOXES, inbox .. ':probe_at')
  if not probe_at then return false end
  if now < tonumber(probe_at) then return true end
  redis.call('HSET', INBOXES, inbox .. ':probe_at', now + ARGV[4])
  return false
end

-- Why nothing may be sent for this contact now, and where in `due` it waits; or nothing.
local function refusal()
  local up = redis.call('HMGET', UPSTREAM, 'paused_at', 'stop', 'probe_at', 'probe_until')
  local lane = lane_of(state, record[7])
  if up[1] then return 'paused', lane, now end
  if up[2] and not is_probe_due(up[3], up[4]) then return 'stopped', lane, now end
  if is_held() then return 'held', HELD, now end
  local unknown = record[5] or state == 'sending'
  -- After an unknown answer there is a look-up, and then perhaps a create.
  wait, apart = reserve(tonumber(ARGV[5]), unknown and 2 or 1, unknown and 1 or 0, tonumber(ARGV[6]))
  if not wait then return 'paced', lane, apart end
  if up[2] then redis.call('HSET', UPSTREAM, 'probe', ARGV[3], 'probe_until', now + ARGV[4]) end
end

write_even_when_full()
if token ~= ARGV[3] then
  if state == 'sending' and lease_until > now then return { 'busy' } end
  if state == 'retrying' and tonumber(record[4] or 0) > now then return { 'early' } end
  if ARGV[8] == '1' then
    local reason, lane, when = refusal()
    if reason then
      due_at(lane, when)
      return { reason }
    end
  end

  enter('sending', state)
  if state == 'sending' then
    -- Its worker died or was cut off. What it sent, and what came of it, nobody knows.
    redis.call('HSET', RECORD, 'unknown_since', lease_until)
    redis.call('HINCRBY', RECORD, 'crashes', 1)
  end
  lease_until = now + ARGV[4]
  redis.call('HSET', RECORD, 'token', ARGV[3], 'lease_until', lease_until)
  redis.call('HINCRBY', RECORD, 'attempts_made', 1)
  redis.call('HDEL', RECORD, 'next_attempt_at')
  due_at(RETRY, lease_until)
end

local fields = redis.call('HGETALL', RECORD)
local answered_at = redis.call('HGET', UPSTREAM, 'answered_at') or '0'
return { 'claimed', string.format('%.0f', now), string.format('%.0f', lease_until), wait, apart, answered_at,
  redis.call('GET', SALT), unpack(fields) }
