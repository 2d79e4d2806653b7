-- include: operation
-- Starts an operation on many contacts; the workers run it in chunks.
--
-- same_as: string      identifies operations that do the same
-- kept_ms: int         how long the operation is kept
-- max_active: int
-- fields: map          of the operation
-- Returns {'open'}, or {'same', id} when an equal one is active, or {'many'} when too many are active.

redis.call('ZREMRANGEBYSCORE', OPERATIONS, '-inf', now - args.kept_ms)
local active = 0
for _, other in ipairs(redis.call('SMEMBERS', ACTIVE)) do
  local same_as = redis.call('HGET', PREFIX .. 'op:' .. other, 'same_as')
  if same_as == args.same_as then return { 'same', other } end
  if same_as then active = active + 1 else redis.call('SREM', ACTIVE, other) end
end
if active >= args.max_active then return { 'many' } end

redis.call('HSET', OPERATION, 'state', 'running', 'same_as', args.same_as, 'created_at', now, 'as_of', now)
for field, value in pairs(args.fields) do redis.call('HSET', OPERATION, field, value) end
redis.call('PEXPIRE', OPERATION, args.kept_ms)
redis.call('ZADD', OPERATIONS, now, args.operation)
redis.call('SADD', ACTIVE, args.operation)
return { 'open' }
