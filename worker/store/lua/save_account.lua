-- Replaces what is known about the LiveDesk account.
--
-- account: string   keyed hash of the account's name
-- found: map         an ability (model.Account) to '1', '0', or '' where it was not found out
-- Returns 1.

local ACCOUNT = PREFIX .. 'account'
redis.call('DEL', ACCOUNT) -- first: see write_even_when_full
redis.call('HSET', ACCOUNT, 'account', args.account, 'probed_at', now)
for ability, answer in pairs(args.found) do redis.call('HSET', ACCOUNT, ability, answer) end
return 1
