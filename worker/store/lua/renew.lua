-- Extends a lease that is still ours, before another request to LiveDesk.
--
-- token: string
-- lease_ms: int   from now
-- Returns 1, or 0 when the lease is no longer ours: stop at once.

local record = redis.call('HMGET', RECORD, FIELD.state, 'token', 'lease_until')
if record[1] ~= 'sending' or record[2] ~= args.token or tonumber(record[3]) <= now then return 0 end

redis.call('ZREM', DUE, key) -- first: see write_even_when_full
redis.call('HSET', RECORD, 'lease_until', now + args.lease_ms)
due_at(RETRY, now + args.lease_ms)
return 1
