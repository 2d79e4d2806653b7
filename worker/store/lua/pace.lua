-- Gives one more request to LiveDesk its time, beside the one that came with the claim.
--
-- ARGV   [3] requests a second, 0 for no limit   [4] look-ups a second   [5] 1 if it is a look-up, else 0
-- Returns the ms to wait before it; or, as a negative number, after how many ms to ask again.

write_even_when_full()
local wait, again = reserve(tonumber(ARGV[3]), 1, tonumber(ARGV[5]), tonumber(ARGV[4]))
return wait or now - again
