-- Put before every script by store.py: what all of them share.
--
-- KEYS of every script (keys.for_contact):
--   [1] the record  [2] due  [3] queue  [4] causes  [5] salt  [6..12] the state indexes, in the order of STATES
-- ARGV of every script:
--   [1] milliseconds to add to Redis's clock: 0, but for tests that turn it  [2] the contact's key

local RECORD, DUE, QUEUE, CAUSES, SALT = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local STATES = { 'pending', 'sending', 'retrying', 'created', 'conflict', 'failed', 'discarded' }
local LANE = 1e14
local NEW, RETRY = 0, 1

local INDEX = {}
for i, state in ipairs(STATES) do INDEX[state] = KEYS[5 + i] end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local key = ARGV[2]

local function is_open(state)
  return state == 'pending' or state == 'sending' or state == 'retrying'
end

-- Moves the contact between the state indexes. The removal comes first: it is a write that Redis allows when its
-- memory is full, and after a script's first write it allows the others, so that a full Redis can still be drained.
local function enter(state, from)
  if from then redis.call('ZREM', INDEX[from], key) end
  redis.call('ZADD', INDEX[state], now, key)
  redis.call('HSET', RECORD, 'state', state)
end

local function due_at(lane, when)
  redis.call('ZADD', DUE, lane * LANE + when, key)
end
