-- Included before every script: its arguments, the names of keys, and Redis's clock.
--
-- KEYS[1]  the prefix of every key. It contains the hash tag, so that a Redis Cluster finds all of them on one node.
-- ARGV[1]  the named arguments, as a MessagePack map; what is None in Python is nil here. In every script:
--   shift_ms: int   added to Redis's clock; 0 except in tests
--   key: string     the contact's key, in scripts that change one contact

local args = cmsgpack.unpack(ARGV[1])
local PREFIX = KEYS[1]
local DUE, QUEUE, SALT = PREFIX .. 'due', PREFIX .. 'create', PREFIX .. 'salt'
local key = args.key
local RECORD = key and PREFIX .. 'c:' .. key

local LANE = 1e14
-- Changes, deletions and operators got their lanes last; scores with the others are stored.
local NEW, RETRY, BULK, HELD, CHANGE, DELETION, OPERATOR = 0, 1, 2, 3, 4, 5, 6

local time = redis.call('TIME')
local exact = time[1] * 1000 + time[2] / 1000 + args.shift_ms
local now = math.floor(exact)
