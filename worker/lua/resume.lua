-- An operator lets the sync go on. Where it stopped by itself, the next probe goes at once; a 429 holds nobody longer.
--
-- Returns 1, or 0 when nothing was paused or stopped.

local was = redis.call('HDEL', UPSTREAM, 'paused_at', 'paused_by', 'paused_why')
if redis.call('HEXISTS', UPSTREAM, 'stop') == 1 then
  redis.call('HSET', UPSTREAM, 'probe_at', now)
  was = was + 1
end
if tonumber(redis.call('HGET', UPSTREAM, 'slot') or 0) > now + 1000 then
  was = was + redis.call('HDEL', UPSTREAM, 'slot')
end
for _, field in ipairs(redis.call('HKEYS', INBOXES)) do
  if string.match(field, ':probe_at$') then
    redis.call('HSET', INBOXES, field, now)
    was = was + 1
  end
end
return was > 0 and 1 or 0
