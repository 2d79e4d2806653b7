-- Counts a failed sign-in over all web processes, in a window that the first one opens. An attempt counts before its result is
-- known, so that many at once are not more than are allowed: `forgive_sign_in` takes it back.
--
-- address: string     keyed hash of the address
-- max_attempts: int
-- window_ms: int
-- Returns {0, failed sign-ins with this one}, or {the ms until the window ends, as many} when there were too many.

local ATTEMPTS = PREFIX .. 'tries:' .. args.address
local window = redis.call('HMGET', ATTEMPTS, 'tries', 'ends_at')
local tries, ends_at = tonumber(window[1] or 0), tonumber(window[2] or 0)
if ends_at <= now then tries, ends_at = 0, now + args.window_ms end
if tries >= args.max_attempts then return { ends_at - now, tries } end

redis.call('DEL', ATTEMPTS) -- first: see write_even_when_full
redis.call('HSET', ATTEMPTS, 'tries', tries + 1, 'ends_at', ends_at)
redis.call('PEXPIRE', ATTEMPTS, ends_at - now)
return { 0, tries + 1 }
