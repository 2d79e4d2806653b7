-- include: operation, finders, aliases, causes, earlier, lifecycle
-- Runs one chunk of an operation: each contact that still matches the filter is made due in the lane of bulk work
-- or, as part of a canary, in that of operators, is discarded, or becomes `known`. What it was before is kept, so that the
-- operation can be undone.
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

-- What the filter asks for, and then what is saved.
local FIELDS = { FIELD.identifier, 'source', 'attempts_made', 'operation', FIELD.contact_id, 'deletes',
  unpack(SAVED_FIELDS) }
local ASKED = #FIELDS - #SAVED_FIELDS
local TRIGGER, DUE_AT = 'operation ' .. args.operation, string.format('%.0f', BULK * LANE + now)
local IS_PLAIN_RETRY = args.action == 'retry' and not args.is_canary
-- Whether the filter asks for what only the records say.
local ASKS = args.source or args.work or args.min_attempts > 0
-- What is written for all contacts of the chunk at once: to SAVED; out of the indexes by state, into that of `retrying`, and
-- to DUE.
local saved, left, entered, due = {}, {}, {}, {}

-- Returns what the filter asks for, and what is saved.
local function read_record()
  local values, record, was = redis.call('HMGET', RECORD, unpack(FIELDS)), {}, {}
  if not values[1] and rename_fields() then values = redis.call('HMGET', RECORD, unpack(FIELDS)) end
  for i = 1, #FIELDS do
    if values[i] then (i <= ASKED and record or was)[FIELDS[i]] = values[i] end
  end
  return record, was
end

-- Returns the contacts of these states, and of the cause that the filter names: their states, and when they entered them.
local function find()
  local states, times = {}, {}
  if #args.keys == 0 then return states, times end
  for _, state in ipairs(args.states) do
    for i, at in ipairs(redis.call('ZMSCORE', index(state), unpack(args.keys))) do
      if at then states[args.keys[i]], times[args.keys[i]] = state, at end
    end
  end
  if args.cause then
    for i, at in ipairs(redis.call('ZMSCORE', PREFIX .. 'cause:' .. args.cause, unpack(args.keys))) do
      if not at then states[args.keys[i]] = nil end
    end
  end
  return states, times
end

-- Keeps what `restore` needs. Of a contact that becomes `known` that is the whole record.
local function save(state, at, was)
  was.state, was.entered = state, at
  saved[#saved + 1] = key
  saved[#saved + 1] = cjson.encode(was)
  if args.action ~= 'known' then return end
  redis.call('COPY', RECORD, PREFIX .. 'was:' .. key, 'REPLACE')
  redis.call('PEXPIRE', PREFIX .. 'was:' .. key, args.kept_ms)
end

-- Makes it due with all others of the chunk.
local function join(state, to)
  if to ~= state then
    left[state] = left[state] or {}
    table.insert(left[state], key)
    entered[#entered + 1] = now
    entered[#entered + 1] = key
  end
  due[#due + 1] = DUE_AT
  due[#due + 1] = key
end

-- Whether the record of a contact in this state stays as it is until its next attempt begins. It belongs to no operation.
local function may_stay(state)
  return IS_PLAIN_RETRY and (state == 'failed' or state == 'conflict')
end

-- The same as `make_due` in one call, which reads nothing: there may be a hundred thousand. What the earlier attempts have
-- recorded is void (`anew`), and goes when the next one begins; until then, it is what undoing the operation brings back.
local function retry_as_it_is(state, at)
  local function write()
    return redis.call('HSET', RECORD, FIELD.state, 'retrying', 'operation', args.operation, 'anew', 1)
  end
  -- A record of an earlier version has the state under another name.
  if write() > 2 and rename_fields() then write() end
  saved[#saved + 1] = key
  saved[#saved + 1] = string.format('{"stays":true,"state":"%s","entered":"%s"}', state, at)
  join(state, 'retrying')
end

-- The same as `make_due` for a retry without a canary, in fewer calls.
local function retry(state, was)
  local spent = {}
  for _, field in ipairs(SPENT) do
    local is_decision = was.resolution and (field == 'resolution' or field == 'owner_id')
    if was[field] and not is_decision then spent[#spent + 1] = field end
  end
  if #spent > 0 then redis.call('HDEL', RECORD, unpack(spent)) end
  local to = state == 'pending' and 'pending' or 'retrying'
  join(state, to)
  redis.call('HSET', RECORD, FIELD.state, to, 'trigger', TRIGGER, 'operation', args.operation)
end

local function make_due(state, conflict)
  if conflict then resolve(state, args.action, conflict.owner_id) else start_anew(state) end
  if args.is_canary then go_ahead() end
  due_at(lane_of('retrying', args.operation), now)
  redis.call('HSET', RECORD, 'trigger', 'operation ' .. args.operation)
end

local function move(state, at, was, conflict)
  if may_stay(state) then return retry_as_it_is(state, at) end
  save(state, at, was)
  if IS_PLAIN_RETRY then return retry(state, was) end
  if args.action == 'known' then
    close_as_known(state, conflict.owner_id, conflict.contact_finder, args.note, args.trigger)
    redis.call('HSET', RECORD, 'undo', args.operation)
    return
  end
  if args.action == 'discard' then close_as_discarded(state, was.cause) else make_due(state, conflict) end
  redis.call('HSET', RECORD, 'operation', args.operation)
end

local function write_all()
  if #saved > 0 then redis.call('HSET', SAVED, unpack(saved)) end
  for state, contacts in pairs(left) do redis.call('ZREM', index(state), unpack(contacts)) end
  if #entered > 0 then redis.call('ZADD', index('retrying'), unpack(entered)) end
  if #due > 0 then redis.call('ZADD', DUE, unpack(due)) end
end

-- Whether the conflict is still the one that the caller has judged.
local function is_same(conflict, was)
  return conflict and conflict.cause == was.cause and conflict.owner_id == was.owner_id
end

local function is_work(record)
  return not args.work or args.work == (record.deletes and 'delete' or record[FIELD.contact_id] and 'update' or 'create')
end

local function matches(record, was, conflict)
  return (not args.source or record.source == args.source)
      and tonumber(record.attempts_made or 0) >= args.min_attempts and is_work(record) and record.operation ~= args.operation
      and (not args.conflicts or is_same(conflict, was)) and not (args.action == 'discard' and record.deletes)
end

local states, times = find()
local moved = 0
for _, contact in ipairs(args.keys) do
  switch_to(contact)
  local state, conflict, record, was = states[contact], args.conflicts and args.conflicts[contact], {}, {}
  if state and (ASKS or not may_stay(state)) then record, was = read_record() end
  if state and matches(record, was, conflict) then
    leave_operation(record.operation, 'left')
    move(state, times[contact], was, conflict)
    moved = moved + 1
  end
end
write_all()
local skipped = #args.keys - moved
local recovered = args.action == 'known' and moved or 0
if moved > 0 then redis.call('PEXPIRE', SAVED, args.kept_ms) end
redis.call('HINCRBY', OPERATION, 'moved', moved)
redis.call('HINCRBY', OPERATION, 'skipped', skipped)
redis.call('HINCRBY', OPERATION, 'recovered', recovered)
redis.call('HSET', OPERATION, 'cursor', args.cursor, 'runner_until', now + args.lease_ms)
return { 1, moved, skipped, recovered }
