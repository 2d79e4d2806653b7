-- Keeps what live probes found out about the LiveDesk account, in place of what was known before.
--
-- KEYS   [1] the account (record)
-- ARGV   [3] keyed hash of the account's name   [4] unique   [5] searchable   [6] searchable without an address:
--        each '1', '0', or '' where it was not found out
-- Returns 1.

redis.call('DEL', RECORD) -- first: a full Redis lets a script write on after a removal (see write_even_when_full)
redis.call('HSET', RECORD, 'account', ARGV[3], 'unique', ARGV[4], 'searchable', ARGV[5], 'searchable_bare', ARGV[6],
  'probed_at', now)
return 1
