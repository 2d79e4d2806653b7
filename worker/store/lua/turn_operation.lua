-- Changes the state of an operation, if it is in one of some.
--
-- KEYS   [22] what its contacts were before
-- ARGV   [2] the operation's id   [3] new state   [4] the states it may be in, with a comma behind each   [5] note ('' for none)
-- Returns 1, or 0 when it is in another state, or gone.

local name = OPERATION .. key
local state = redis.call('HGET', name, 'state')
if not state or not string.find(ARGV[4], state .. ',', 1, true) then return 0 end
write_even_when_full()
redis.call('HSET', name, 'state', ARGV[3])
redis.call('HDEL', name, 'runner', 'runner_until')
if ARGV[5] ~= '' then redis.call('HSET', name, 'note', ARGV[5]) end
if ARGV[3] ~= 'running' and ARGV[3] ~= 'paused' and ARGV[3] ~= 'undoing' then redis.call('HSET', name, 'ended_at', now) end
return 1
