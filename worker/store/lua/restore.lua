-- include: operation
-- Undoes one chunk of an operation: each contact that nobody has changed since becomes what it was before.
--
-- token: string          the runner's
-- lease_ms: int          of the runner
-- keys: list of string   the contacts
-- Returns {1, restored}, or {0} when another worker runs the operation: nothing was done.

if not is_running('undoing') then return { 0 } end

write_even_when_full()

local function restore(was, state)
  enter(was.state, state)
  redis.call('ZADD', index(was.state), was.entered, key)
  redis.call('HDEL', RECORD, 'operation', 'trigger', 'closed_at')
  for field, value in pairs(was) do
    if field ~= 'state' and field ~= 'entered' then redis.call('HSET', RECORD, field, value) end
  end
  if was.cause then redis.call('ZADD', PREFIX .. 'cause:' .. was.cause, was.entered, key) end
  if is_open(was.state) then
    due_at(lane_of(was.state), tonumber(was.next_attempt_at or now))
  else
    redis.call('ZREM', DUE, key)
  end
end

local restored = 0
for _, contact in ipairs(args.keys) do
  switch_to(contact)
  local saved = redis.call('HGET', SAVED, key)
  local record = redis.call('HMGET', RECORD, 'state', 'operation')
  if saved and record[2] == args.operation and (record[1] == 'retrying' or record[1] == 'discarded') then
    restore(cjson.decode(saved), record[1])
    restored = restored + 1
  end
  redis.call('HDEL', SAVED, key)
end
redis.call('HINCRBY', OPERATION, 'restored', restored)
redis.call('HSET', OPERATION, 'runner_until', now + args.lease_ms)
return { 1, restored }
