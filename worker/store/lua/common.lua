-- Included before every script, after `arguments`: what most scripts do.

local COUNTS = PREFIX .. 'counts'
local UPSTREAM, INBOXES, FAILING = PREFIX .. 'upstream', PREFIX .. 'inboxes', PREFIX .. 'failing'
-- The lanes that are swept, in this order.
local SWEPT = { OPERATOR, NEW, RETRY, DELETION, CHANGE, BULK }
-- Counters of a minute are kept for a day and an hour.
local MINUTE_KEPT_S = 25 * 3600

local function index(state)
  return PREFIX .. 'state:' .. state
end

local function minute_key(minute)
  return PREFIX .. 'm:' .. minute
end

local function contains(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

local function is_open(state)
  return state == 'pending' or state == 'sending' or state == 'retrying'
end

-- A full Redis allows removals, and after a script's first write it allows the others. So a script that begins with a
-- removal drains a full Redis.
local function write_even_when_full()
  redis.call('SREM', FAILING, '')
end

-- Moves the contact between the state indexes. The removal is first: see write_even_when_full.
local function enter(state, from)
  if from then redis.call('ZREM', index(from), key) end
  redis.call('ZADD', index(state), now, key)
  redis.call('HSET', RECORD, FIELD.state, state)
end

local function due_at(lane, when)
  redis.call('ZADD', DUE, string.format('%.0f', lane * LANE + when), key)
end

-- Returns the lane that the contact waits in: what an operator waits for goes first, new ones go before retries, those
-- before deletions and changes of contacts that LiveDesk has, and those before bulk work.
local function lane_of(state, operation)
  local change = redis.call('HMGET', RECORD, FIELD.contact_id, 'deletes', 'ahead')
  if change[3] then return OPERATOR end
  if operation then return BULK end
  if change[2] then return DELETION end
  if change[1] then return CHANGE end
  return state == 'pending' and NEW or RETRY
end

-- Removes what earlier attempts have recorded, of a contact that an operation has retried and whose record it has left as it
-- was (`anew`, see move.lua).
local function begin_anew(operation)
  redis.call('HDEL', RECORD, 'anew', 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'crashes', 'suspect')
  if operation then redis.call('HSET', RECORD, 'trigger', 'operation ' .. operation) end
end

-- Counts an event, in this minute and in total. When Redis is full the event is not counted, and nothing else fails.
local function count(name)
  local minute = minute_key(math.floor(now / 60000))
  if redis.pcall('HINCRBY', minute, name, 1) == 1 then redis.call('EXPIRE', minute, MINUTE_KEPT_S) end
  redis.pcall('HINCRBY', COUNTS, name, 1)
end

-- Sets a field of the record, or removes it.
local function set(field, value)
  if value then redis.call('HSET', RECORD, field, value) else redis.call('HDEL', RECORD, field) end
end
