-- include: operation, finders, aliases, causes, earlier, lifecycle
-- Undoes one chunk of an operation: each contact that nobody has changed since becomes what it was before. The others stay
-- as they are, but what the operation decided about their conflicts no longer applies.
--
-- token: string          the runner's
-- lease_ms: int          of the runner
-- keys: list of string   the contacts
-- contacts: map          contact to its {contact_id, contact_finder} as the caller knows them; only those that are created
-- Returns {1, restored}, or {0} when another worker runs the operation: nothing was done.

if not is_running('undoing') then return { 0 } end

write_even_when_full()

local ACTION, WAS = redis.call('HGET', OPERATION, 'action')

-- Whether nobody has changed the contact since: no delivery, no person, no attempt, not even one whose answer was lost.
local function is_unchanged(was, record)
  local state, operation, fingerprint, unknown_since, anew = record[1], record[2], record[3], record[4], record[9]
  if operation ~= args.operation or state ~= 'retrying' and state ~= 'discarded' then return false end
  if was.stays then return anew end
  -- Earlier versions did not save the fingerprint, or by its full name.
  local saved = was[FIELD.fingerprint] or was.fingerprint
  return not saved or saved == fingerprint and was.unknown_since == (unknown_since or nil)
end

local function restore_fields(was, cause)
  if was.stays then return redis.call('HDEL', RECORD, 'operation', 'anew') end
  if cause ~= was.cause then forget_cause(cause) end
  redis.call('HDEL', RECORD, 'operation', 'trigger', unpack(RESTORED))
  for _, field in ipairs(RESTORED) do set(field, was[field]) end
end

-- The record becomes what it was, but keeps the id spaces that it has been seen in since.
local function restore_known(contact)
  local seen = redis.call('HMGET', RECORD, 'id_space', 'identity')
  unlink(contact.contact_id, contact.contact_finder)
  redis.call('RENAME', WAS, RECORD)
  redis.call('PERSIST', RECORD)
  rename_fields()
  set('id_space', seen[1])
  set('identity', seen[2])
  add_finders(redis.call('HGET', RECORD, 'finders'))
end

local function enter_again(was, state)
  enter(was.state, state)
  redis.call('ZADD', index(was.state), was.entered, key)
  if was.cause then redis.call('ZADD', PREFIX .. 'cause:' .. was.cause, was.entered, key) end
  if is_open(was.state) then
    due_at(lane_of(was.state), tonumber(was.next_attempt_at or now))
  else
    redis.call('ZREM', DUE, key)
  end
end

-- The contact has changed: it stays. An attempt that is running is still counted.
local function leave_alone(state, operation)
  if operation ~= args.operation then return end
  if ACTION == 'adopt' or ACTION == 'without' then redis.call('HDEL', RECORD, 'resolution') end
  if state ~= 'sending' then leave_operation(operation, 'left') end
end

local restored, known = 0, 0
for _, contact in ipairs(args.keys) do
  switch_to(contact)
  rename_fields()
  WAS = PREFIX .. 'was:' .. contact
  local saved = redis.call('HGET', SAVED, key)
  local record = redis.call('HMGET', RECORD, FIELD.state, 'operation', FIELD.fingerprint, 'unknown_since', 'cause', 'undo', 'newer',
    FIELD.contact_id, 'anew')
  local was, state, created = saved and cjson.decode(saved), record[1], args.contacts[contact]
  if was and is_unchanged(was, record) then
    restore_fields(was, record[5])
    enter_again(was, state)
    restored = restored + 1
  elseif was and record[6] == args.operation and not record[7] and created and created.contact_id == record[8]
      and redis.call('EXISTS', WAS) == 1 then
    restore_known(created)
    enter_again(was, state)
    restored, known = restored + 1, known + 1
  else
    leave_alone(state, record[2])
    if record[6] == args.operation then forget_copy() end
  end
  redis.call('HDEL', SAVED, key)
end
redis.call('HINCRBY', OPERATION, 'restored', restored)
-- Redis 7.0 writes -0 as "-0", which is no integer.
if known > 0 then redis.call('HINCRBY', OPERATION, 'recovered', -known) end
redis.call('HSET', OPERATION, 'runner_until', now + args.lease_ms)
return { 1, restored }
