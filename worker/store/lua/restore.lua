-- Takes back one chunk of an operation: each contact that nobody has touched since becomes what it was before.
--
-- KEYS   [1] the beginning of all records   [22] what its contacts were before
-- ARGV   [3] the operation's id   [4] runner's token   [5] length of the runner's lease in ms   [6..] keys
-- Returns {1, restored}, or {0} when another worker runs the operation: nothing was done.

local SAVED, BEGINNING = KEYS[22], KEYS[1]
local name = OPERATION .. ARGV[3]

local running = redis.call('HMGET', name, 'state', 'runner')
if running[1] ~= 'undoing' or running[2] ~= ARGV[4] then return { 0 } end

write_even_when_full()

local function restore(was, state)
  enter(was.state, state)
  redis.call('ZADD', INDEX[was.state], was.entered, key)
  redis.call('HDEL', RECORD, 'operation', 'trigger', 'closed_at')
  for _, field in ipairs({ 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'suspect', 'next_attempt_at', 'cause' }) do
    if was[field] then redis.call('HSET', RECORD, field, was[field]) end
  end
  if was.cause then redis.call('ZADD', CAUSE .. was.cause, was.entered, key) end
  if is_open(was.state) then
    due_at(lane_of(was.state), tonumber(was.next_attempt_at or now))
  else
    redis.call('ZREM', DUE, key)
  end
end

local restored = 0
for i = 6, #ARGV do
  key, RECORD = ARGV[i], BEGINNING .. ARGV[i]
  local saved = redis.call('HGET', SAVED, key)
  local record = redis.call('HMGET', RECORD, 'state', 'operation')
  if saved and record[2] == ARGV[3] and (record[1] == 'retrying' or record[1] == 'discarded') then
    restore(cjson.decode(saved), record[1])
    restored = restored + 1
  end
  redis.call('HDEL', SAVED, key)
end
redis.call('HINCRBY', name, 'restored', restored)
redis.call('HSET', name, 'runner_until', now + ARGV[5])
return { 1, restored }
