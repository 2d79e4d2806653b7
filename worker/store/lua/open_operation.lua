-- Begins an operation on many contacts; the workers run it in chunks.
--
-- KEYS   [22] the index of all operations
-- ARGV   [2] the operation's id   [3] what tells equal ones apart from others   [4] ms that it is kept   [5] most at once
--        [6..] field, value, ...
-- Returns {'open'}, or {'same', id} where an equal one is running, or {'many'} where too many are.

local OPERATIONS = KEYS[22]
local name = OPERATION .. key

redis.call('ZREMRANGEBYSCORE', OPERATIONS, '-inf', now - ARGV[4])
local active = 0
for _, other in ipairs(redis.call('ZRANGE', OPERATIONS, 0, -1)) do
  local fields = redis.call('HMGET', OPERATION .. other, 'state', 'same_as')
  if fields[1] == 'running' or fields[1] == 'paused' or fields[1] == 'undoing' then
    if fields[2] == ARGV[3] then return { 'same', other } end
    active = active + 1
  end
end
if active >= tonumber(ARGV[5]) then return { 'many' } end

redis.call('HSET', name, 'state', 'running', 'same_as', ARGV[3], 'created_at', now, 'as_of', now)
for i = 6, #ARGV, 2 do redis.call('HSET', name, ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', name, ARGV[4])
redis.call('ZADD', OPERATIONS, now, key)
return { 'open' }
