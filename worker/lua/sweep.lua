-- Hands over whatever is due: a Celery message for each, new contacts before retries, retries before bulk work. Safe to run
-- in many processes at once: who hands a contact over moves its time on by the grace, so that nobody else does.
--
-- It is the sign of life of the worker that sweeps, too: removing the old sign comes first, since a full Redis lets a script
-- write on after a removal (see enter).
--
-- KEYS   [13] workers
-- ARGV   [3] Celery message with @key@ and @id@ to fill in   [4] id of this sweep   [5] most messages at once
--        [6] grace in ms   [7..9] how long the queue may get by each lane   [10] worker   [11] ms that workers are kept
-- Returns {how many contacts were handed over, how many messages waited in the queue before}.

redis.call('ZREM', KEYS[13], ARGV[10])
if ARGV[10] ~= '' then redis.call('ZADD', KEYS[13], now, ARGV[10]) end
redis.call('ZREMRANGEBYSCORE', KEYS[13], '-inf', now - ARGV[11])

local handed, waiting = 0, redis.call('LLEN', QUEUE)
for lane = 0, 2 do
  local room = math.min(ARGV[5] - handed, ARGV[7 + lane] - waiting - handed)
  if room > 0 then
    local base = lane * LANE
    local keys = redis.call('ZRANGE', DUE, base, base + now, 'BYSCORE', 'LIMIT', 0, room)
    for _, contact in ipairs(keys) do
      handed = handed + 1
      local fill = { key = contact, id = ARGV[4] .. '-' .. handed }
      redis.call('ZADD', DUE, base + now + ARGV[6], contact)
      redis.call('LPUSH', QUEUE, (string.gsub(ARGV[3], '@(%l+)@', fill)))
    end
  end
end
return { handed, waiting }
