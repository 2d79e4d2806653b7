-- Accepts the first delivery about somebody, and ends the script. Most deliveries are such: they take the shortest way, before
-- anything is prepared that only the others need. Reads the arguments of `accept`. Needs: finders, hand_over.

if redis.call('GET', SALT) ~= args.salt then return { 'salt' } end

-- The arguments that are fields of the record, under the same name.
local STORED = { 'identifier', 'source', 'identity', 'data', 'fingerprint', 'finders', 'notes', 'event', 'on_change', 'on_conflict' }

-- One write, which a full Redis refuses, so that the delivery is refused as a whole.
local function store(state)
  local fields = { 'state', state, 'received_at', now }
  local function add(field, value)
    if value then fields[#fields + 1], fields[#fields + 2] = field, value end
  end
  for _, field in ipairs(STORED) do add(field, args[field]) end
  add('id_space', args.id_space ~= args.source and args.id_space)
  add('unverified', args.unverified and '1')
  add('event_at', args.event_at and string.format('%.0f', args.event_at))
  redis.call('HSET', RECORD, unpack(fields))
  redis.call('ZADD', index(state), now, key)
end

local function answer(state, detail)
  count('accepted')
  count('delivery:' .. args.source .. ':accepted')
  if detail then count('event:' .. args.source .. ':' .. detail) end
  return { 'accepted', state, '', detail or '' }
end

-- Nothing remains, and nobody has seen it. It begins like a delivery, because after a removal a full Redis allows writes.
local function try()
  local done, problem = pcall(function()
    store('pending')
    hand_over()
    redis.call('LPUSH', QUEUE, args.message)
  end)
  redis.pcall('LREM', QUEUE, 2, args.message)
  for _, command in ipairs({ { 'ZREM', DUE, key }, { 'ZREM', index('pending'), key }, { 'DEL', RECORD } }) do
    redis.pcall(unpack(command))
  end
  if done then return { 'tried' } end
  return redis.error_reply(type(problem) == 'table' and problem.err or tostring(problem))
end

-- The source has deleted a person who was not known: nothing but that is recorded.
local function accept_deletion()
  args.data, args.finders, args.notes, args.event, args.on_change, args.on_conflict, args.unverified = nil
  args.fingerprint, args.event_at = string.rep('-', 20), args.event_at or now
  store('deleted')
  return answer('deleted', 'deletion')
end

local function accept_new()
  if redis.call('ZCARD', DUE) >= args.max_open then return { 'full' } end
  store('pending')
  add_finders(args.finders)
  hand_over()
  return answer('pending')
end

if args.is_trial then return try() end
if redis.call('EXISTS', RECORD) == 0 then return args.deletes and accept_deletion() or accept_new() end
