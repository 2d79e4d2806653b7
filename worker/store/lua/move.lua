-- include: operation, finders, aliases, causes, lifecycle
-- Runs one chunk of an operation: each contact that still matches the filter is made due in the lane of bulk work
-- or, as part of a canary, in that of operators, is discarded, or becomes `known`. What it was before is kept, so that the operation can be undone.
--
-- token: string            the runner's
-- lease_ms: int            of the runner
-- action: string           a actions.BulkAction
-- states: list of string   in which a contact is moved
-- cause, source: string or nil   of the filter
-- min_attempts: int        of the filter
-- work: string or nil      of the filter: 'create', 'update' or 'delete'
-- is_canary: bool          whether the operation waits for the results of these contacts
-- cursor: string           after this chunk
-- kept_ms: int             how long the earlier state is kept
-- keys: list of string     the contacts
-- conflicts: map or nil    contact to its {cause, owner_id, contact_finder} as the caller knows them; only for actions that
--                          resolve conflicts, and only the conflicts that this action resolves
-- note, trigger: string    of contacts that become `known`, as JSON
-- Returns {1, moved, skipped, recovered at once}, or {0} when another worker runs the operation: nothing was done.

if not is_running('running') then return { 0 } end

write_even_when_full()

-- Stores what `restore` needs. Of a contact that becomes `known` that is the whole record.
local function save(state)
  local saved = { state = state, entered = redis.call('ZSCORE', index(state), key) }
  for i, value in ipairs(redis.call('HMGET', RECORD, unpack(SAVED_FIELDS))) do saved[SAVED_FIELDS[i]] = value or nil end
  redis.call('HSET', SAVED, key, cjson.encode(saved))
  if args.action ~= 'known' then return end
  redis.call('COPY', RECORD, PREFIX .. 'was:' .. key, 'REPLACE')
  redis.call('PEXPIRE', PREFIX .. 'was:' .. key, args.kept_ms)
end

local function make_due(state, conflict)
  if conflict then resolve(state, args.action, conflict.owner_id) else start_anew(state) end
  if args.is_canary then go_ahead() end
  due_at(lane_of('retrying', args.operation), now)
  redis.call('HSET', RECORD, 'trigger', 'operation ' .. args.operation)
end

local function move(state, cause, conflict)
  save(state)
  if args.action == 'known' then
    close_as_known(state, conflict.owner_id, conflict.contact_finder, args.note, args.trigger)
    redis.call('HSET', RECORD, 'undo', args.operation)
    return
  end
  if args.action == 'discard' then close_as_discarded(state, cause) else make_due(state, conflict) end
  redis.call('HSET', RECORD, 'operation', args.operation)
end

-- Whether the conflict is still the one that the caller has judged.
local function is_same(conflict, cause, owner_id)
  return conflict and conflict.cause == (cause or nil) and conflict.owner_id == (owner_id or nil)
end

local function is_work(contact_id, deletes)
  return not args.work or args.work == (deletes and 'delete' or contact_id and 'update' or 'create')
end

local moved, skipped = 0, 0
for _, contact in ipairs(args.keys) do
  switch_to(contact)
  local record = redis.call('HMGET', RECORD, 'state', 'cause', 'source', 'attempts_made', 'operation', 'owner_id',
    'contact_id', 'deletes')
  local state, cause, operation = record[1], record[2], record[5]
  local conflict = args.conflicts and args.conflicts[contact]
  local matches = state and contains(args.states, state)
      and (not args.cause or cause == args.cause) and (not args.source or record[3] == args.source)
      and tonumber(record[4] or 0) >= args.min_attempts and is_work(record[7], record[8]) and operation ~= args.operation
      and (not args.conflicts or is_same(conflict, cause, record[6])) and not (args.action == 'discard' and record[8])
  if matches then
    leave_operation(operation, 'left')
    move(state, cause, conflict)
    moved = moved + 1
  else
    skipped = skipped + 1
  end
end
local recovered = args.action == 'known' and moved or 0
if moved > 0 then redis.call('PEXPIRE', SAVED, args.kept_ms) end
redis.call('HINCRBY', OPERATION, 'moved', moved)
redis.call('HINCRBY', OPERATION, 'skipped', skipped)
redis.call('HINCRBY', OPERATION, 'recovered', recovered)
redis.call('HSET', OPERATION, 'cursor', args.cursor, 'runner_until', now + args.lease_ms)
return { 1, moved, skipped, recovered }
