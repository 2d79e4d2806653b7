-- An operator pauses the sync: nothing is sent to LiveDesk, not even a probe. What is under way is finished.
--
-- ARGV   [3] who   [4] why
-- Returns 1, or 0 when it was paused already.

if redis.call('HEXISTS', UPSTREAM, 'paused_at') == 1 then return 0 end
write_even_when_full()
redis.call('HSET', UPSTREAM, 'paused_at', now, 'paused_by', ARGV[3], 'paused_why', ARGV[4])
return 1
