-- Removes an entry of the quarantine.
--
-- KEYS   [1] the entry (record)   [22] the index of all entries
-- ARGV   [2] the entry's id   [3] ms that it must have been there
-- Returns 1, or 0 when there is none, or none that old.

local since = redis.call('ZSCORE', KEYS[22], key)
if not since or tonumber(since) > now - ARGV[3] then return 0 end
redis.call('ZREM', KEYS[22], key)
redis.call('DEL', RECORD)
return 1
