-- Keeps an authentic delivery that could not be mapped to a contact. The same delivery again is kept once.
--
-- KEYS   [1] the entry (record)   [22] the index of all entries
-- ARGV   [2] the entry's id   [3] source   [4] payload (JSON)   [5] problems (JSON)   [6] headers (JSON)
--        [7] most entries that are kept
-- Returns 1, or 0 when there is no room: nothing was kept.

local ENTRIES = KEYS[22]

if not redis.call('ZSCORE', ENTRIES, key) then
  if redis.call('ZCARD', ENTRIES) >= tonumber(ARGV[7]) then return 0 end
  redis.call('ZADD', ENTRIES, now, key)
end
redis.call('HSET', RECORD, 'source', ARGV[3], 'payload', ARGV[4], 'problems', ARGV[5], 'headers', ARGV[6])
return 1
