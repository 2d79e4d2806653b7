-- Counts tries to sign in to the dashboard, together for all web processes: so many in a window that the first one opens.
--
-- KEYS   [1] the count
-- ARGV   [2] whose tries (keyed hash of an address)   [3] most tries   [4] length of the window in ms
-- Returns 0, or the ms until the window ends: there were too many.

local window = redis.call('HMGET', RECORD, 'tries', 'ends_at')
local tries, ends_at = tonumber(window[1] or 0), tonumber(window[2] or 0)
if ends_at <= now then tries, ends_at = 0, now + ARGV[4] end
if tries >= tonumber(ARGV[3]) then return ends_at - now end

redis.call('DEL', RECORD) -- a full Redis lets a script write on after a removal (see write_even_when_full)
redis.call('HSET', RECORD, 'tries', tries + 1, 'ends_at', ends_at)
redis.call('PEXPIRE', RECORD, ends_at - now)
return 0
