-- Accepts the first delivery about somebody, and ends the script. Most deliveries are such: they take the shortest way, before
-- anything is defined that only the others need. Reads the arguments of `accept`. Needs: finders, hand_over.

if redis.call('GET', SALT) ~= args.salt then return { 'salt' } end

-- One write, which a full Redis refuses, so that the delivery is refused as a whole.
local function store()
  local fields = args.fields
  if args.finders then fields[#fields + 1], fields[#fields + 2] = 'finders', args.finders end
  redis.call('HSET', RECORD, FIELD.state, 'pending', FIELD.received_at, now, unpack(fields))
  redis.call('ZADD', PREFIX .. 'state:pending', now, key)
end

if args.is_trial then
  -- Nothing remains, and nobody has seen it. It begins like a delivery, because after a removal a full Redis allows writes.
  local done, problem = pcall(function()
    store()
    hand_over()
    redis.call('LPUSH', QUEUE, args.message)
  end)
  redis.pcall('LREM', QUEUE, 2, args.message)
  for _, command in ipairs({ { 'ZREM', DUE, key }, { 'ZREM', PREFIX .. 'state:pending', key }, { 'DEL', RECORD } }) do
    redis.pcall(unpack(command))
  end
  if done then return { 'tried' } end
  return redis.error_reply(type(problem) == 'table' and problem.err or tostring(problem))
end

local is_new = redis.call('EXISTS', RECORD) == 0
if is_new and not args.deletes then
  if redis.call('ZCARD', DUE) >= args.max_open then return { 'full' } end
  store()
  add_finders(args.finders)
  hand_over()
  return { 'accepted', 'pending', '', '' }
end

-- What follows reads the fields by their names.
for at = 1, #args.fields, 2 do args[args.fields[at]] = args.fields[at + 1] end
args.identifier, args.fingerprint = args[FIELD.identifier], args[FIELD.fingerprint]
args.event_at = tonumber(args.event_at)
