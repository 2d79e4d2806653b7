-- include: finders, causes
-- Accepts a delivery: the record, its place in `due` and, while the queue is short, the Celery message; all or nothing.
--
-- salt: string           the salt that the key was made with
-- identifier, source: string
-- data: string           JSON
-- fingerprint: string    of the data
-- same: list of string   what this fingerprint is in older versions; not given where there are none
-- notes: string or nil   JSON
-- finders: string or nil
-- message: string        for Celery
-- queue_bound: int       no message where more are waiting
-- grace_ms: int
-- is_bulk: bool          in the lane behind new contacts and retries, without a message
-- max_open: int          nothing new is accepted while this many contacts are open
-- Returns {status, state, contact id}: status is 'accepted' (new, or newer data accepted) or 'duplicate'; or {'full'} when
-- too many contacts are open, or {'salt'} when Redis has another salt: nothing was done.

if redis.call('GET', SALT) ~= args.salt then return { 'salt' } end

local record = redis.call('HMGET', RECORD, 'state', 'fingerprint', 'contact_id', 'newer', 'finders', 'cause')
local state, fingerprint, contact_id, newer = record[1], record[2], record[3] or '', record[4]

local function answer(status, of_state)
  count(status)
  count('delivery:' .. args.source .. ':' .. status)
  return { status, of_state, contact_id }
end

-- Whether a stored fingerprint is that of this delivery.
local function is_same(stored)
  return stored == args.fingerprint or args.same and contains(args.same, stored)
end

-- Begins with a write that a full Redis refuses, so that the delivery is refused as a whole.
local function store_delivery()
  redis.call('HSET', RECORD, 'source', args.source)
  store_data(record[5])
end

-- A new contact goes straight to the queue, unless others are due before it.
local function make_due()
  if args.is_bulk then return due_at(BULK, now) end
  local enqueues = redis.call('LLEN', QUEUE) < args.queue_bound
      and #redis.call('ZRANGE', DUE, 0, string.format('%.0f', now - 1), 'BYSCORE', 'LIMIT', 0, 1) == 0
  due_at(NEW, enqueues and now + args.grace_ms or now)
  if enqueues then redis.call('LPUSH', QUEUE, args.message) end
end

local opens = not state or state == 'conflict' or state == 'failed'
local is_known = is_same(fingerprint) and not newer
if opens and not is_known and redis.call('ZCARD', DUE) >= args.max_open then return { 'full' } end

if not state then
  redis.call('HSET', RECORD, 'identifier', args.identifier, 'received_at', now)
  store_delivery()
  enter('pending')
  make_due()
  return answer('accepted', 'pending')
end

if is_known then return answer('duplicate', state) end

if is_open(state) then
  store_delivery()
  return answer('accepted', state)
end

if opens then
  -- A fresh start with the new data. What we do not know about earlier creates (unknown_since) stays.
  store_delivery()
  forget_cause(record[6])
  redis.call('HDEL', RECORD, 'owner_id', 'closed_at', 'failures', 'repeats', 'spent_ms', 'crashes', 'suspect')
  enter('pending', state)
  make_due()
  return answer('accepted', 'pending')
end

if state == 'created' and not is_same(newer) then
  -- LiveDesk keeps what it has; the record says that newer data arrived, and when.
  if is_same(fingerprint) then
    redis.call('HDEL', RECORD, 'newer', 'newer_at')
  else
    redis.call('HSET', RECORD, 'newer', args.fingerprint, 'newer_at', now)
  end
end
return answer('duplicate', state)
