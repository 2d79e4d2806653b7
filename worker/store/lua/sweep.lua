-- Hands over whatever is due: a Celery message for each, new contacts before retries, retries before bulk work, no more
-- than the pace can use, and while LiveDesk is down or we are misconfigured nothing but the probe. Safe to run in many
-- processes at once: who hands a contact over moves its time on by the grace, so that nobody else does.
--
-- It is the sign of life of the worker that sweeps, too: removing the old sign comes first, since a full Redis lets a script
-- write on after a removal (see write_even_when_full).
--
-- KEYS   [22] workers
-- ARGV   [3] Celery message with @key@ and @id@ to fill in   [4] id of this sweep   [5] most messages at once
--        [6] grace in ms   [7..9] how long the queue may get by each lane   [10] worker   [11] ms that workers are kept
--        [12] requests a second, 0 for no limit   [13] inbox of contacts that name none ('' for none)
-- Returns {how many contacts were handed over, how many messages waited in the queue before, 1 if more are due else 0}.

local WORKERS = KEYS[22]
-- Where many are due, the next sweep comes after so long at the latest (sweeper.py).
local NEXT_SWEEP_MS = 250
local grace = tonumber(ARGV[6])

redis.call('ZREM', WORKERS, ARGV[10])
if ARGV[10] ~= '' then redis.call('ZADD', WORKERS, now, ARGV[10]) end
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now - ARGV[11])

local handed, waiting = 0, redis.call('LLEN', QUEUE)
local up = redis.call('HMGET', UPSTREAM, 'paused_at', 'stop', 'probe_at', 'probe_until', 'pace', 'free_before',
  'slot')

-- How many contacts may be handed over by a lane.
local function room(lane)
  if up[1] then return 0 end
  if up[2] then return (is_probe_due(up[3], up[4]) and waiting + handed == 0) and 1 or 0 end
  local bound = tonumber(ARGV[7 + lane])
  local rate = tonumber(ARGV[12])
  if rate > 0 then
    -- As many as find a time within AHEAD_MS until the next sweep; those that have theirs are with the workers.
    local ahead = math.max(0, tonumber(up[7] or 0) - exact)
    bound = math.min(bound, math.ceil(pace_of(rate, up[5]) * math.max(0, AHEAD_MS + NEXT_SWEEP_MS - ahead) / 1000))
  end
  return math.min(ARGV[5] - handed, bound - waiting - handed)
end

-- Contacts wait in the lane HELD while their inbox is: some of them try when a probe is due, and all when it is free.
local function let_go()
  local most = 0
  for _, at in ipairs(redis.call('HGETALL', INBOXES)) do
    if string.match(at, ':probe_at$') and now >= tonumber(redis.call('HGET', INBOXES, at)) then most = 10 end
  end
  local before = now
  if up[6] then
    most, before = tonumber(ARGV[5]), tonumber(up[6])
  end
  if most == 0 then return end
  local held = redis.call('ZRANGE', DUE, HELD * LANE, string.format('%.0f', HELD * LANE + before), 'BYSCORE', 'LIMIT', 0, most)
  for _, contact in ipairs(held) do redis.call('ZADD', DUE, string.format('%.0f', RETRY * LANE + now), contact) end
  if up[6] and #held < most then redis.call('HDEL', UPSTREAM, 'free_before') end
end

-- Contacts that had no inbox at all have got one with the settings.
if ARGV[13] ~= '' and redis.call('HEXISTS', INBOXES, ':since') == 1 then
  free_inbox('')
  up[6] = now
end
let_go()
local more = 0
for lane = NEW, BULK do
  local most = math.max(0, room(lane))
  local base = lane * LANE
  local keys = redis.call('ZRANGE', DUE, string.format('%.0f', base), string.format('%.0f', base + now), 'BYSCORE',
    'LIMIT', 0, most + 1)
  for i = 1, math.min(most, #keys) do
    handed = handed + 1
    local fill = { key = keys[i], id = ARGV[4] .. '-' .. handed }
    redis.call('ZADD', DUE, string.format('%.0f', base + now + grace), keys[i])
    redis.call('LPUSH', QUEUE, (string.gsub(ARGV[3], '@(%l+)@', fill)))
  end
  if #keys > most then more = 1 end
end
return { handed, waiting, more }
