-- Gives one worker the right to run an operation for a while.
--
-- ARGV   [2] the operation's id   [3] token   [4] length of the lease in ms
-- Returns {field, value, ...}, or {} when it is not to be run, or somebody else runs it.

local name = OPERATION .. key
local fields = redis.call('HMGET', name, 'state', 'runner', 'runner_until')
if fields[1] ~= 'running' and fields[1] ~= 'undoing' then return {} end
if fields[2] ~= ARGV[3] and now < tonumber(fields[3] or 0) then return {} end
write_even_when_full()
redis.call('HSET', name, 'runner', ARGV[3], 'runner_until', now + ARGV[4])
return redis.call('HGETALL', name)
