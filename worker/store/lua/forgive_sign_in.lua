-- Takes back one sign-in that `try_sign_in` has counted. The failed ones still count.
--
-- way: string         as in `try_sign_in`
-- address: string     keyed hash of way and address
-- known_ms: int or nil   how long the address is known from now on, because somebody signed in
-- Returns how many failed sign-ins of the address are left.

local KNOWN = PREFIX .. 'known_address:' .. args.address

local function take_back(counter)
  local tries = tonumber(redis.call('HGET', counter, 'tries') or 0)
  if tries > 1 then return redis.call('HINCRBY', counter, 'tries', -1) end
  redis.call('DEL', counter)
  return 0
end

write_even_when_full()
take_back(PREFIX .. 'tries:' .. args.way)
if args.known_ms then redis.call('SET', KNOWN, '1', 'PX', args.known_ms) end
return take_back(PREFIX .. 'tries:' .. args.address)
