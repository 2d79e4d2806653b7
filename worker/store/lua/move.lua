-- include: operation, finders, aliases, causes, lifecycle
-- Runs one chunk of an operation: each contact that still matches the filter is made due in the lane of bulk work, or
-- discarded. What it was before is kept, so that the operation can be undone.
--
-- token: string            the runner's
-- lease_ms: int            of the runner
-- action: string           'retry' or 'discard'
-- states: list of string   in which a contact is moved
-- cause, source: string or nil   of the filter
-- min_attempts: int        of the filter
-- cursor: string           after this chunk
-- kept_ms: int             how long the earlier state is kept
-- keys: list of string     the contacts
-- Returns {1, moved, skipped}, or {0} when another worker runs the operation: nothing was done.

if not is_running('running') then return { 0 } end

write_even_when_full()

-- The fields that `restore` writes back, in addition to the state and when the contact entered it.
local RESTORED = { 'cause', 'next_attempt_at', 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'suspect' }

local function move(state, cause)
  local saved = { state = state, entered = redis.call('ZSCORE', index(state), key) }
  for i, value in ipairs(redis.call('HMGET', RECORD, unpack(RESTORED))) do saved[RESTORED[i]] = value or nil end
  if args.action == 'retry' then
    start_anew(state)
    due_at(BULK, now)
    redis.call('HSET', RECORD, 'trigger', 'operation ' .. args.operation)
  else
    close_as_discarded(state, cause)
  end
  redis.call('HSET', RECORD, 'operation', args.operation)
  redis.call('HSET', SAVED, key, cjson.encode(saved))
end

local moved, skipped = 0, 0
for _, contact in ipairs(args.keys) do
  switch_to(contact)
  local record = redis.call('HMGET', RECORD, 'state', 'cause', 'source', 'attempts_made', 'operation')
  local state, cause, operation = record[1], record[2], record[5]
  local matches = state and contains(args.states, state)
      and (not args.cause or cause == args.cause) and (not args.source or record[3] == args.source)
      and tonumber(record[4] or 0) >= args.min_attempts and operation ~= args.operation
  if matches then
    leave_operation(operation, 'left')
    move(state, cause)
    moved = moved + 1
  else
    skipped = skipped + 1
  end
end
if moved > 0 then redis.call('PEXPIRE', SAVED, args.kept_ms) end
redis.call('HINCRBY', OPERATION, 'moved', moved)
redis.call('HINCRBY', OPERATION, 'skipped', skipped)
redis.call('HSET', OPERATION, 'cursor', args.cursor, 'runner_until', now + args.lease_ms)
return { 1, moved, skipped }
