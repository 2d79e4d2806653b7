-- include: finders
-- Ends an attempt that created a contact while nothing was unusual. Most attempts are such: they take the shortest way.
--
-- token, fingerprint: string   of the claim
-- contact_id: string           in LiveDesk
-- contact_finder: string       the finder of the contact id
-- attempt: string              one line of JSON
-- notes: string or nil         JSON
-- inbox: string                the contact's
-- Returns 1; or 0, and has changed nothing: finish.lua must decide.

-- What stays of the record, as in `shrink`; but for `attempts_made`, which is usually 1.
local STAYS = { FIELD.identifier, 'source', FIELD.received_at, FIELD.fingerprint, 'identity', 'id_space', 'event_at', 'senders' }
-- What makes it unusual that a contact is created.
local OTHERS = { 'cause', 'operation', 'resolution', FIELD.contact_id, 'deletes' }

local bucket, field = string.match(args.contact_finder, '^(%d+):(%S+)$')
local finder = PREFIX .. 'f:' .. bucket

local fields, record = redis.call('HGETALL', RECORD), {}
for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end

-- Returns whether the lease is ours, the data is what was sent, and nothing else is to be decided.
local function is_usual()
  if record[FIELD.state] ~= 'sending' or record.token ~= args.token or record[FIELD.fingerprint] ~= args.fingerprint then return false end
  for _, name in ipairs(OTHERS) do
    if record[name] then return false end
  end
  local up = redis.call('HMGET', UPSTREAM, 'stop', 'pace')
  if up[1] or up[2] or redis.call('HEXISTS', finder, field) == 1 then return false end
  -- Held inboxes, what has failed since LiveDesk last answered, and other records of the same contact in LiveDesk.
  local unusual = { INBOXES, PREFIX .. 'inbox_failing', FAILING, PREFIX .. 'refused', PREFIX .. 'aliases:' .. args.contact_id }
  return redis.call('EXISTS', unpack(unusual)) == 0
end

if not is_usual() then return 0 end

local kept = { FIELD.state, 'created', FIELD.attempts, args.attempt, FIELD.contact_id, args.contact_id }
local function keep(name, value)
  if value then kept[#kept + 1], kept[#kept + 2] = name, value end
end
for _, name in ipairs(STAYS) do keep(name, record[name]) end
keep('attempts_made', record.attempts_made ~= '1' and record.attempts_made)
keep('notes', args.notes)

redis.call('ZREM', index('sending'), key) -- first: see write_even_when_full
redis.call('ZADD', index('created'), now, key)
redis.call('ZREM', DUE, key)
remove_finders(record.finders)
redis.call('DEL', RECORD)
redis.call('HSET', RECORD, unpack(kept))
redis.call('HSET', finder, field, key)
count('created')
count('ok')
redis.call('HSET', UPSTREAM, 'answered_at', now, 'created_at', now, 'created_inbox', args.inbox)
return 1
