-- include: finders, aliases, causes, identity
-- Accepts a delivery: the record, its place in `due` and, while the queue is short, the Celery message; all or nothing.
--
-- salt: string           the salt that the key was made with
-- identifier, source: string
-- id_space: string or nil      the source's, unless it has its own
-- siblings: list of string     the sources with this id_space; not given without one
-- identity: string or nil      'visitor', or nil for an account
-- on_conflict: string or nil   unless it is 'ask'
-- unverified: bool or nil      the sender says that the e-mail address was not verified
-- same_person: bool or nil     there is no clash: an operator knows that the identifier is this person's
-- contact_id, contact_finder: string or nil   only after the answer 'known'
-- data: string           JSON
-- fingerprint: string    of the data
-- notes: string or nil   JSON
-- finders: string or nil
-- message: string        for Celery
-- queue_bound: int       no message where more are waiting
-- grace_ms: int
-- is_bulk: bool          in the lane behind new contacts and retries, without a message
-- max_open: int          nothing new is accepted while this many contacts are open
-- Returns {status, state, contact id, detail}: status is 'accepted' (new, or newer data accepted) or 'duplicate'; detail is
-- 'update' (of an open contact), 'repeat' (of what the same id space sent) or ''. Or {'clash', state, other source}: the
-- identifier is another person's; {'full'} when too many contacts are open; {'salt'} when Redis has another salt;
-- {'known', contact id} when the finder of that contact id is needed, too. Nothing was done in these four cases.

if redis.call('GET', SALT) ~= args.salt then return { 'salt' } end

local record = redis.call('HMGET', RECORD, 'state', 'fingerprint', 'contact_id', 'newer', 'finders', 'cause', 'source',
  'id_space', 'identity', 'unverified', 'outcome')
local state, fingerprint, contact_id, newer = record[1], record[2], record[3] or '', record[4]

local function answer(status, of_state, detail)
  count(status)
  count('delivery:' .. args.source .. ':' .. status)
  return { status, of_state, contact_id, detail or '' }
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

local is_known, whose = false, 'own'
if state then
  whose = owner_of(record[7], record[8], record[9], fingerprint, newer)
  if whose == 'clash' then return { 'clash', state, record[7] } end
  -- The same person, whose address is verified now, may get what it could not have before.
  is_known = fingerprint == args.fingerprint and not newer and (not record[10] or args.unverified)
end

-- The record was a visitor's, whom LiveDesk has under another identifier; now an account's may become the one there.
local is_promoted = whose == 'own' and record[11] == 'known' and record[9] == 'visitor' and not args.identity
if is_promoted and args.contact_id ~= contact_id then return { 'known', contact_id } end
is_known = is_known and not is_promoted

local opens = not state or is_promoted or whose == 'own' and (state == 'conflict' or state == 'failed')
if opens and not is_known and redis.call('ZCARD', DUE) >= args.max_open then return { 'full' } end

if not state then
  redis.call('HSET', RECORD, 'identifier', args.identifier, 'received_at', now)
  store_delivery()
  store_origin()
  enter('pending')
  make_due()
  return answer('accepted', 'pending')
end

if whose == 'own' or args.same_person then join_origin(record[7], record[8], record[9]) end
if whose == 'other' then return answer('duplicate', state) end
if is_known then return answer('duplicate', state, 'repeat') end

-- Newer data for a contact that LiveDesk does not have yet.
local function replace_delivery()
  store_delivery()
  set('on_conflict', args.on_conflict)
  set('unverified', args.unverified and '1')
end

if is_open(state) then
  replace_delivery()
  return answer('accepted', state, 'update')
end

if opens then
  -- A fresh start with the new data. What we do not know about earlier creates (unknown_since) stays.
  replace_delivery()
  if is_promoted then
    unlink(contact_id, args.contact_finder)
    forget_copy()
    redis.call('HDEL', RECORD, 'contact_id', 'outcome', 'newer', 'newer_at')
    contact_id = ''
  end
  forget_cause(record[6])
  redis.call('HDEL', RECORD, 'owner_id', 'closed_at', 'failures', 'repeats', 'spent_ms', 'crashes', 'suspect',
    'resolution')
  enter('pending', state)
  make_due()
  return answer('accepted', 'pending', 'update')
end

if state == 'created' and newer ~= args.fingerprint then
  -- LiveDesk keeps what it has; the record says that newer data arrived, and when.
  if fingerprint == args.fingerprint then
    redis.call('HDEL', RECORD, 'newer', 'newer_at')
  else
    redis.call('HSET', RECORD, 'newer', args.fingerprint, 'newer_at', now)
  end
end
return answer('duplicate', state)
