-- Put before every script by scripts.py: what all of them share.
--
-- KEYS of every script (keys.for_contact):
--   [1] the record  [2] due  [3] queue  [4] causes  [5] salt  [6..12] the state indexes, in the order of STATES
--   [13] upstream  [14] inboxes  [15] failing  [16] counts  and beginnings of names:
--   [17] counts of a minute  [18] contacts of a cause  [19] people of a cause  [20] finders  [21] one operation
-- ARGV of every script:
--   [1] milliseconds to add to Redis's clock: 0, but for tests that turn it  [2] the contact's key

local RECORD, DUE, QUEUE, CAUSES, SALT = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local UPSTREAM, INBOXES, FAILING, COUNTS = KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local MINUTE, CAUSE, PEOPLE, FINDER, OPERATION = KEYS[17], KEYS[18], KEYS[19], KEYS[20], KEYS[21]
local STATES = { 'pending', 'sending', 'retrying', 'created', 'conflict', 'failed', 'discarded' }
local LANE = 1e14
local NEW, RETRY, BULK, HELD = 0, 1, 2, 3
-- Counts of a minute are kept for a day and an hour.
local MINUTE_KEPT_S = 25 * 3600

local INDEX = {}
for i, state in ipairs(STATES) do INDEX[state] = KEYS[5 + i] end

local time = redis.call('TIME')
local exact = time[1] * 1000 + time[2] / 1000 + ARGV[1]
local now = math.floor(exact)
local key = ARGV[2]

local function is_open(state)
  return state == 'pending' or state == 'sending' or state == 'retrying'
end

-- A removal is a write that Redis allows when its memory is full, and after a script's first write it allows the others:
-- so a full Redis can still be drained.
local function write_even_when_full()
  redis.call('SREM', FAILING, '')
end

-- Moves the contact between the state indexes. The removal comes first: see write_even_when_full.
local function enter(state, from)
  if from then redis.call('ZREM', INDEX[from], key) end
  redis.call('ZADD', INDEX[state], now, key)
  redis.call('HSET', RECORD, 'state', state)
end

local function due_at(lane, when)
  redis.call('ZADD', DUE, string.format('%.0f', lane * LANE + when), key)
end

-- Counts what happened, in this minute and altogether. Where Redis is full it is not counted, and nothing else fails.
local function count(name)
  local minute = MINUTE .. math.floor(now / 60000)
  if redis.pcall('HINCRBY', minute, name, 1) == 1 then redis.call('EXPIRE', minute, MINUTE_KEPT_S) end
  redis.pcall('HINCRBY', COUNTS, name, 1)
end

-- The contact is no longer among those of a cause: whose last attempt ended with it and who are not created.
local function forget_cause(cause)
  if not cause then return end
  redis.call('ZREM', CAUSE .. cause, key)
  redis.call('HDEL', RECORD, 'cause')
end

-- Another attempt at once, with a fresh retry budget. Returns the new state: who was never tried stays pending.
local function start_anew(state)
  local to = state == 'pending' and 'pending' or 'retrying'
  redis.call('HDEL', RECORD, 'next_attempt_at', 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'crashes',
    'suspect')
  if to ~= state then enter(to, state) end
  return to
end

local function close_as_discarded(state, cause)
  redis.call('ZREM', DUE, key)
  enter('discarded', state)
  forget_cause(cause)
  redis.call('HDEL', RECORD, 'next_attempt_at', 'trigger')
  redis.call('HSET', RECORD, 'closed_at', now)
end

-- The contact is no longer one of those that an operation has moved; what became of it is counted there.
local function leave_operation(operation, how)
  if not operation then return end
  redis.call('HDEL', RECORD, 'operation')
  if redis.call('EXISTS', OPERATION .. operation) == 1 then redis.call('HINCRBY', OPERATION .. operation, how, 1) end
end

-- The lane that a contact waits in: new ones go before retries, and those before bulk work.
local function lane_of(state, operation)
  if operation then return BULK end
  return state == 'pending' and NEW or RETRY
end

-- Finders lead from an e-mail address or phone number to contacts: each is `<bucket>:<field>`, made of a keyed hash; the
-- value is the contacts' keys, one after the other.
local KEY_LENGTH, FINDS_MOST = 16, 8

local function each_finder(finders, change)
  for bucket, field in string.gmatch(finders or '', '(%d+):(%S+)') do
    local name = FINDER .. bucket
    local found = redis.call('HGET', name, field) or ''
    local others = ''
    for i = 1, #found, KEY_LENGTH do
      local other = string.sub(found, i, i + KEY_LENGTH - 1)
      if other ~= key then others = others .. other end
    end
    change(name, field, others)
  end
end

local function remove_finders(finders)
  each_finder(finders, function(name, field, others)
    if others == '' then redis.call('HDEL', name, field) else redis.call('HSET', name, field, others) end
  end)
end

local function add_finders(finders)
  each_finder(finders, function(name, field, others)
    redis.call('HSET', name, field, string.sub(others, -KEY_LENGTH * (FINDS_MOST - 1)) .. key)
  end)
end

-- What is sent for the contact, its notes, and where it is found by; the latter '' for none, `before` where it was found.
local function take_data(data, fingerprint, notes, finders, before)
  redis.call('HSET', RECORD, 'data', data, 'fingerprint', fingerprint)
  if before then remove_finders(before) end
  add_finders(finders)
  if finders == '' then redis.call('HDEL', RECORD, 'finders') else redis.call('HSET', RECORD, 'finders', finders) end
  if notes == '' then redis.call('HDEL', RECORD, 'notes') else redis.call('HSET', RECORD, 'notes', notes) end
end
