-- include: upstream
-- Resumes the sync for an operator. Where it stopped by itself, a probe is due now; a 429 no longer delays anything.
--
-- Returns 1, or 0 when nothing was paused or stopped.

local was = redis.call('HDEL', UPSTREAM, 'paused_at', 'paused_by', 'paused_why')
if tonumber(redis.call('HGET', UPSTREAM, 'slot') or 0) > now + 1000 then
  was = was + redis.call('HDEL', UPSTREAM, 'slot')
end
return was + hasten_probes() > 0 and 1 or 0
