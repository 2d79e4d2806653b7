-- include: upstream, breaker
-- Resumes the sync for an operator. Where it stopped by itself, a probe is due now.
--
-- Returns 1, or 0 when nothing was paused or stopped.

local was = redis.call('HDEL', UPSTREAM, 'paused_at', 'paused_by', 'paused_why')
return was + hasten_probes() > 0 and 1 or 0
