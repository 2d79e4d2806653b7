-- include: operation
-- Gives one worker the right to run an operation for a while.
--
-- token: string
-- lease_ms: int
-- Returns {field, value, ...}, or {} when it is not to be run, or another worker runs it.

local fields = redis.call('HMGET', OPERATION, 'state', 'runner', 'runner_until')
local state = fields[1]
local is_run = state == 'running' or state == 'undoing'
if not is_run and state ~= 'paused' then return {} end
write_even_when_full()
redis.call('SADD', ACTIVE, args.operation) -- missing if an earlier version started the operation
if not is_run or fields[2] ~= args.token and now < tonumber(fields[3] or 0) then return {} end
redis.call('HSET', OPERATION, 'runner', args.token, 'runner_until', now + args.lease_ms)
return redis.call('HGETALL', OPERATION)
