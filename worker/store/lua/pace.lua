-- include: upstream
-- Reserves a time for one more request to LiveDesk than a claim includes.
--
-- policy: map      see upstream
-- look_ups: int    1 if it is a look-up, else 0
-- Returns the ms to wait before it; or, as a negative number, after how many ms to ask again.

write_even_when_full()
local wait, again = reserve(1, args.look_ups)
-- What contacts take beyond what was foreseen when they were claimed, for estimates.
if args.look_ups > 0 then
  count(wait and 'extra_look_ups' or 'look_ups_denied')
elseif wait then
  count('extra_requests')
end
return wait or now - again
