-- Replaces what is known about the LiveDesk account.
--
-- account: string   keyed hash of the account's name
-- unique, searchable, searchable_bare: string   '1', '0', or '' where it was not found out
-- Returns 1.

local ACCOUNT = PREFIX .. 'account'
redis.call('DEL', ACCOUNT) -- first: see write_even_when_full
redis.call('HSET', ACCOUNT, 'account', args.account, 'unique', args.unique, 'searchable', args.searchable,
  'searchable_bare', args.searchable_bare, 'probed_at', now)
return 1
