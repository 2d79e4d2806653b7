-- Adds what a process has counted to the counters of this minute and to the totals.
--
-- counts: map   name to number
-- totals: map   name to number, only for the totals: scripts have counted these in their minutes
-- Returns nothing.

local minute = minute_key(math.floor(now / 60000))

local function add(counter, name, number)
  redis.call('HINCRBY', counter, name, string.format('%.0f', number))
end

for name, number in pairs(args.counts) do
  add(minute, name, number)
  add(COUNTS, name, number)
end
for name, number in pairs(args.totals) do add(COUNTS, name, number) end
redis.call('EXPIRE', minute, MINUTE_KEPT_S)
