-- The indexes of causes: which contacts a cause keeps from LiveDesk, how many people it has affected, when it was seen.

-- Removes the contact from the index of its cause.
local function forget_cause(cause)
  if not cause then return end
  redis.call('ZREM', PREFIX .. 'cause:' .. cause, key)
  redis.call('HDEL', RECORD, 'cause')
end

-- Adds the contact to the index of a cause; beyond `max_causes` different ones, to that of `other`. A cause that was not
-- seen for `fresh_ms` counts as new. Returns whether it is new, and the cause that was recorded.
local function note_cause(cause, fresh_ms, max_causes)
  local causes = PREFIX .. 'causes'
  local seen = redis.call('ZSCORE', causes, cause)
  if not seen and redis.call('ZCARD', causes) >= max_causes then
    cause = 'other'
    seen = redis.call('ZSCORE', causes, cause)
  end
  local people = PREFIX .. 'people:' .. cause
  local is_new = tonumber(seen or 0) < now - fresh_ms
  if is_new then
    redis.call('DEL', people)
    redis.call('HSET', COUNTS, 'since:' .. cause, now)
  end
  redis.call('ZADD', causes, now, cause)
  redis.call('PFADD', people, key)
  redis.call('ZADD', PREFIX .. 'cause:' .. cause, now, key)
  redis.call('HSET', RECORD, 'cause', cause)
  count('cause:' .. cause)
  return is_new, cause
end
