-- Counts a failed sign-in over all web processes, in a window that the first one opens: for its address, and for all addresses
-- together. An attempt counts before its result is known, so that many at once are not more than are allowed:
-- `forgive_sign_in` takes it back. The limit over all addresses does not apply to one from which somebody has signed in.
--
-- way: string         how: the ways have limits of their own
-- address: string     keyed hash of way and address
-- max_attempts, max_overall: int   of the address, and of all
-- window_ms, overall_ms: int       the length of each window
-- Returns {0 or the ms until another attempt is allowed, failed sign-ins of the address, those of all}, with this one.

local ATTEMPTS, OVERALL = PREFIX .. 'tries:' .. args.address, PREFIX .. 'tries:' .. args.way
local KNOWN = PREFIX .. 'known_address:' .. args.address

-- Returns how many attempts there were in the current window, and when it ends.
local function window_of(counter, length)
  local read = redis.call('HMGET', counter, 'tries', 'ends_at')
  local tries, ends_at = tonumber(read[1] or 0), tonumber(read[2] or 0)
  if ends_at <= now then return 0, now + length end
  return tries, ends_at
end

local function save(counter, tries, ends_at)
  redis.call('DEL', counter) -- first: see write_even_when_full
  redis.call('HSET', counter, 'tries', tries, 'ends_at', ends_at)
  redis.call('PEXPIRE', counter, ends_at - now)
end

local tries, ends_at = window_of(ATTEMPTS, args.window_ms)
local overall, overall_ends_at = window_of(OVERALL, args.overall_ms)
if tries >= args.max_attempts then return { ends_at - now, tries, overall } end
if overall >= args.max_overall and redis.call('EXISTS', KNOWN) == 0 then return { overall_ends_at - now, tries, overall } end

save(ATTEMPTS, tries + 1, ends_at)
save(OVERALL, overall + 1, overall_ends_at)
return { 0, tries + 1, overall + 1 }
