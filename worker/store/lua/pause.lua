-- Pauses the sync for an operator: nothing is sent to LiveDesk, not even a probe. Attempts that are running finish.
--
-- who, why: string
-- Returns 1, or 0 when it was paused already.

if redis.call('HEXISTS', UPSTREAM, 'paused_at') == 1 then return 0 end
write_even_when_full()
redis.call('HSET', UPSTREAM, 'paused_at', now, 'paused_by', args.who, 'paused_why', args.why)
return 1
