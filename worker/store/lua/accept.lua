-- include: finders, hand_over, new_contact, common, aliases, causes, earlier, lifecycle, identity, events
-- Accepts a delivery: the record, its place in `due` and, while the queue is short, the Celery message; all or nothing.
--
-- salt: string           the salt that the key was made with
-- fields: list           names and values of the fields that a new record has (record.new_fields); each is also an argument:
--   identifier, source, data, fingerprint: string
--   id_space, identity, on_conflict, on_change, notes, event, event_at, unverified: string or nil
-- finders: string or nil   also a field
-- siblings: list of string     the sources with this id_space; not given without one
-- deletes: string or nil       of a deletion: what LiveDesk's contact needs ('mark' or 'delete')
-- same_person: bool or nil     there is no clash: an operator knows that the identifier is this person's
-- contact_id, contact_finder: string or nil   only after the answer 'known'
-- seen, sent, senders: string or nil    only after the answer 'exists': see merge.py
-- message_id: string     of the Celery message
-- message: string or nil   in the place of that message
-- queue_bound: int       no message where more are waiting
-- grace_ms: int
-- is_bulk: bool          in the lane behind all others, without a message
-- max_open: int          nothing new is accepted while this many contacts are open
-- is_trial: bool or nil  do what a new contact needs, undo it, and answer {'tried'} or the error
-- Returns {status, state, contact id, detail}: status is 'accepted' (new, or newer data accepted) or 'duplicate'; detail is
-- 'update' (of a contact that LiveDesk does not have yet), 'change' (of one that it has), 'deletion', 'repeat' (of what the
-- same id space sent), 'stale' or ''. Or {'clash', state, other source}: the identifier is another person's; {'full'} when
-- too many contacts are open; {'salt'} when Redis has another salt; {'known', contact id} when the finder of that contact
-- id is needed, too; {'exists', ...} (merge.Before) when the data must first be merged with the record's. Nothing was done
-- in these five cases.

-- new_contact.lua has answered a signup of somebody who has no record yet. Of a person who was deleted before the source told
-- us about them, nothing but that is recorded.
if is_new then
  redis.call('HSET', RECORD, FIELD.state, 'deleted', FIELD.received_at, now, FIELD.identifier, args.identifier, 'source',
    args.source, FIELD.fingerprint, ABSENT, 'event_at', args.event_at or now)
  set('identity', args.identity)
  set('id_space', args.id_space)
  redis.call('ZADD', index('deleted'), now, key)
  return { 'accepted', 'deleted', '', 'deletion' }
end

local record = redis.call('HMGET', RECORD, FIELD.state, FIELD.fingerprint, FIELD.contact_id, 'newer', 'finders', 'cause',
  'source', 'id_space', 'identity', 'unverified', 'outcome', 'event_at', 'deletes', 'sent', 'anew', 'operation')
local state, fingerprint, contact_id, newer = record[1], record[2], record[3] or '', record[4]
local event_at, deletes = tonumber(record[12] or nil), record[13]

local function answer(status, of_state, detail)
  return { status, of_state, contact_id, detail or '' }
end

-- Begins with a write that a full Redis refuses, so that the delivery is refused as a whole.
local function store_delivery()
  redis.call('HSET', RECORD, 'source', args.source)
  store_data(record[5])
  store_event(event_at)
end

local function is_full()
  return redis.call('ZCARD', DUE) >= args.max_open
end

-- Returns the answer 'exists': what merge.Before has.
local function existing(seen)
  local more = redis.call('HMGET', RECORD, 'data', 'notes', 'unknown_since', 'senders')
  return { 'exists', seen, state, fingerprint, record[14] or '', more[1] or '', more[2] or '', contact_id, record[7],
    record[11] or '', (state == 'sending' or more[3]) and '1' or '0', more[4] or '' }
end

local whose = owner_of(record[7], record[8], record[9], fingerprint, newer or record[14])
if whose == 'clash' then return { 'clash', state, record[7] } end
local is_own = whose == 'own'
-- Since a deletion that LiveDesk does not know about yet, the person may be back already.
local is_buried = state == 'deleted' or deletes and fingerprint == ABSENT
-- The same person, whose address is verified now, may get what it could not have before.
local is_known = not args.deletes and fingerprint == args.fingerprint and not newer and (not record[10] or args.unverified)
    and not is_buried

-- The record was a visitor's, whom LiveDesk has under another identifier; now an account's may become the one there.
local is_promoted = is_own and record[11] == 'known' and record[9] == 'visitor' and not args.identity and not args.deletes
if is_promoted and args.contact_id ~= contact_id then return { 'known', contact_id } end
is_known = is_known and not is_promoted

local is_stale = is_own and is_too_old(is_buried, event_at)
local is_change = state == 'created' and not is_promoted and not args.on_change
-- What an operator has given up stays so, unless LiveDesk has the contact: then it was a change that was given up.
local is_given_up = state == 'discarded' and contact_id == ''
-- A source that only notes changes does not join one that waits.
local is_noted = args.on_change and contact_id ~= '' and not is_buried and not is_promoted
local takes = is_own and not (is_noted or is_known or is_stale or is_given_up)
    and (state ~= 'created' or is_change or is_promoted)
if takes and not args.deletes and not is_promoted then
  local seen = table.concat({ state, fingerprint, contact_id, record[14] or '', deletes or '' }, ' ')
  if args.seen ~= seen then return existing(seen) end
end
local buries = is_own and not is_stale and args.deletes and not is_buried
local opens = (takes and not args.deletes or buries) and not is_open(state)
if opens and is_full() then return { 'full' } end

if is_own or args.same_person then join_origin(record[7], record[8], record[9]) end
if not is_own then return answer('duplicate', state) end
if is_stale then return answer('duplicate', state, 'stale') end
if is_known then
  store_event_time(event_at)
  return answer('duplicate', state, not args.seen and 'repeat')
end
if args.deletes then
  if buries then return answer('accepted', bury(state, record[6], record[5]), 'deletion') end
  store_event_time(event_at)
  return answer('duplicate', state, 'repeat')
end
if is_given_up or is_noted and state ~= 'created' then return answer('duplicate', state) end

-- Newer data for a contact that is to be sent.
local function replace_delivery()
  store_delivery()
  set('on_conflict', args.on_conflict)
  set('on_change', args.on_change)
  set('unverified', args.unverified and '1')
  set('sent', args.sent)
  set('senders', args.senders)
end

if is_open(state) then
  replace_delivery()
  if record[15] then begin_anew(record[16]) end
  return answer('accepted', state, contact_id ~= '' and 'change' or 'update')
end

if is_change then
  replace_delivery()
  open_for_change()
  return answer('accepted', 'pending', 'change')
end

if opens then
  -- A fresh start with the new data. What we do not know about earlier creates (unknown_since) stays.
  replace_delivery()
  if is_promoted then
    unlink(contact_id, args.contact_finder)
    forget_copy()
    redis.call('HDEL', RECORD, FIELD.contact_id, 'outcome', 'newer', 'newer_at', 'sent')
    contact_id = ''
  end
  forget_cause(record[6])
  redis.call('HDEL', RECORD, 'owner_id', 'closed_at', 'failures', 'repeats', 'spent_ms', 'crashes', 'suspect',
    'resolution')
  if state == 'deleted' then redis.call('HDEL', RECORD, 'outcome') end
  enter('pending', state)
  if contact_id ~= '' then due_at(args.is_bulk and BULK or CHANGE, now) else hand_over() end
  return answer('accepted', 'pending', contact_id ~= '' and 'change' or 'update')
end

-- LiveDesk keeps what it has; the record says that newer data arrived, and when.
if newer ~= args.fingerprint then
  if fingerprint == args.fingerprint then
    redis.call('HDEL', RECORD, 'newer', 'newer_at')
  else
    redis.call('HSET', RECORD, 'newer', args.fingerprint, 'newer_at', now)
  end
end
store_event_time(event_at)
return answer('duplicate', state)
