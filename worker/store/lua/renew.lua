-- Lengthens a lease that is still ours, before another request to LiveDesk.
--
-- ARGV   [3] token   [4] length of the lease in ms, from now
-- Returns 1, or 0 when the lease is no longer ours: stop at once.

local record = redis.call('HMGET', RECORD, 'state', 'token', 'lease_until')
if record[1] ~= 'sending' or record[2] ~= ARGV[3] or tonumber(record[3]) <= now then return 0 end

redis.call('ZREM', DUE, key) -- a full Redis lets a script write on after a removal (see write_even_when_full)
redis.call('HSET', RECORD, 'lease_until', now + ARGV[4])
due_at(RETRY, now + ARGV[4])
return 1
