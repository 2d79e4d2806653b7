-- An operator lets the sync go on. Where it stopped by itself, the next probe goes at once; a 429 holds nobody longer.
--
-- Returns 1, or 0 when nothing was paused or stopped.

local was = redis.call('HDEL', UPSTREAM, 'paused_at', 'paused_by', 'paused_why')
if tonumber(redis.call('HGET', UPSTREAM, 'slot') or 0) > now + 1000 then
  was = was + redis.call('HDEL', UPSTREAM, 'slot')
end
return was + hasten_probes() > 0 and 1 or 0
