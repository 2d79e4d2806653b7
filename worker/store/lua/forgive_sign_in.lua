-- Takes back one sign-in that `try_sign_in` has counted, because it succeeded. The failed ones of the address still count.
--
-- address: string   keyed hash of the address
-- Returns how many failed sign-ins are left.

local ATTEMPTS = PREFIX .. 'tries:' .. args.address
local tries = tonumber(redis.call('HGET', ATTEMPTS, 'tries') or 0)
if tries <= 1 then
  redis.call('DEL', ATTEMPTS)
  return 0
end
write_even_when_full()
return redis.call('HINCRBY', ATTEMPTS, 'tries', -1)
