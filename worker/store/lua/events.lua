-- What happens to a person after the signup: changes and deletions. Reads the arguments of `accept`. Needs: finders, aliases,
-- causes, lifecycle.

-- The fields of a record that go with the person's data.
local PERSONAL = { 'data', 'notes', 'finders', 'newer', 'newer_at', 'sent', 'senders', 'on_change', 'on_conflict', 'unverified',
  'next_attempt_at', 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'crashes', 'suspect', 'resolution', 'trigger',
  'ahead', 'anew' }

local function store_event_time(before)
  if args.event_at and (not before or args.event_at > before) then
    redis.call('HSET', RECORD, 'event_at', string.format('%.0f', args.event_at))
  end
end

local function store_event(before)
  store_event_time(before)
  set('event', args.event)
end

-- Whether the event happened before the newest one of the record, by the source's clock. Of equal times, the later arrival
-- is newer. After a deletion that is not enough: a late repeat would revive the person.
local function is_too_old(is_buried, event_at)
  local at = args.event_at
  if is_buried and not args.deletes then return not at or at <= event_at end
  return at and event_at and at < event_at
end

-- Makes the record of a created contact one that waits for a change.
local function open_for_change()
  forget_copy()
  redis.call('HDEL', RECORD, 'newer', 'newer_at', 'attempts_made')
  redis.call('HSET', RECORD, 'opened_at', now)
  enter('pending', 'created')
  due_at(args.is_bulk and BULK or CHANGE, now)
end

-- Records that the source has deleted the person: the data goes, and the next attempt tells LiveDesk. Returns the state.
local function bury(state, cause, finders)
  if finders then remove_finders(finders) end
  forget_cause(cause)
  if state == 'created' then forget_copy() end
  redis.call('HDEL', RECORD, unpack(PERSONAL))
  redis.call('HSET', RECORD, 'source', args.source, FIELD.fingerprint, ABSENT, 'deletes', args.deletes, 'opened_at', now,
    'event_at', string.format('%.0f', args.event_at or now))
  set('event', args.event)
  if state == 'sending' then return state end
  if state == 'created' then redis.call('HDEL', RECORD, 'attempts_made') end
  leave_operation(redis.call('HGET', RECORD, 'operation'), 'left')
  enter('pending', state)
  due_at(DELETION, now)
  return 'pending'
end
