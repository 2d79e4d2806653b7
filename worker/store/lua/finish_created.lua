-- include: finders, without common
-- Ends an attempt that created a contact while nothing was unusual. Most attempts are such: they take the shortest way. Only
-- what the circuit breaker reads is counted here; the caller counts the rest (Counters.created).
--
-- token, fingerprint: string   of the claim
-- contact_id: string           in LiveDesk
-- contact_finder: string       the finder of the contact id
-- attempt: string              one line of JSON
-- notes: string or nil         JSON
-- inbox: string                the contact's
-- Returns 1; or 0, and has changed nothing: finish.lua must decide.

local UPSTREAM, MINUTE = PREFIX .. 'upstream', PREFIX .. 'm:' .. math.floor(now / 60000)
-- What stays of the record, as in `shrink`; but for `attempts_made`, which is usually 1.
local STAYS = { FIELD.fingerprint, FIELD.identifier, 'source', FIELD.received_at, 'identity', 'id_space', 'event_at', 'senders' }

local bucket, field = string.match(args.contact_finder, '^(%d+):(%S+)$')
local finder = PREFIX .. 'f:' .. bucket

-- The fifth to the ninth of these make it unusual that a contact is created; those from the tenth on stay.
local record = redis.call('HMGET', RECORD, FIELD.state, 'token', 'attempts_made', 'finders', 'cause', 'operation', 'resolution',
  FIELD.contact_id, 'deletes', unpack(STAYS))
local state, token, attempts_made, finders, fingerprint = record[1], record[2], record[3], record[4], record[10]

-- Returns whether the lease is ours, the data is what was sent, and nothing else is to be decided.
local function is_usual()
  if state ~= 'sending' or token ~= args.token or fingerprint ~= args.fingerprint then return false end
  for at = 5, 9 do
    if record[at] then return false end
  end
  local up = redis.call('HMGET', UPSTREAM, 'stop', 'pace')
  if up[1] or up[2] or redis.call('HEXISTS', finder, field) == 1 then return false end
  -- Held inboxes, what has failed since LiveDesk last answered, and other records of the same contact in LiveDesk.
  return redis.call('EXISTS', PREFIX .. 'inboxes', PREFIX .. 'inbox_failing', PREFIX .. 'failing', PREFIX .. 'refused',
    PREFIX .. 'aliases:' .. args.contact_id) == 0
end

if not is_usual() then return 0 end

local kept = { FIELD.state, 'created', FIELD.attempts, args.attempt, FIELD.contact_id, args.contact_id }
local function keep(name, value)
  if value then kept[#kept + 1], kept[#kept + 2] = name, value end
end
for i, name in ipairs(STAYS) do keep(name, record[9 + i]) end
keep('attempts_made', attempts_made ~= '1' and attempts_made)
keep('notes', args.notes)

redis.call('ZREM', PREFIX .. 'state:sending', key) -- first: see write_even_when_full
redis.call('ZADD', PREFIX .. 'state:created', now, key)
redis.call('ZREM', DUE, key)
remove_finders(finders)
redis.call('DEL', RECORD)
redis.call('HSET', RECORD, unpack(kept))
redis.call('HSET', finder, field, key)
if redis.pcall('HINCRBY', MINUTE, 'ok', 1) == 1 then redis.call('EXPIRE', MINUTE, 25 * 3600) end
redis.call('HSET', UPSTREAM, 'answered_at', now, 'created_at', now, 'created_inbox', args.inbox)
return 1
