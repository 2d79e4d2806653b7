-- include: upstream, breaker
-- Hands over what is due: a Celery message for one contact or, where many are due, for several; in the order of the lanes
-- (SWEPT), no more than the pace can use, and while the sync is stopped nothing but the probe. Safe to run in many processes
-- at once: handing a contact over moves its time on by the grace, so that no other process does it too.
--
-- It is also the worker's sign of life. Removing the old sign is the first write: see write_even_when_full.
--
-- template: string      the Celery message, with @key@ and @id@ to fill in
-- sweep_id: string
-- max_handed: int
-- keys_per_message: int   at most
-- grace_ms: int
-- bounds: list of int   how many contacts the queue may have by each lane, in the order of SWEPT
-- worker: string        '' for none
-- report: string        what the worker does, as JSON; '' for no news
-- worker_kept_ms: int
-- policy: map           see upstream
-- Returns {contacts handed over, messages that waited in the queue before, 1 if more are due else 0}.

local WORKERS, REPORTS = PREFIX .. 'workers', PREFIX .. 'worker_reports'
-- A worker that is killed and restarted again and again leaves a heartbeat each time.
local MAX_WORKERS = 1000
-- When many are due, the next sweep follows within this time (sweeper.py).
local NEXT_SWEEP_MS = 250
-- Several contacts share a message only where there are at least this many messages: all threads shall have work. Workers
-- fetch more than they work on, so that while so many wait, all are busy.
local SPREAD = 25
-- How far ahead the times of the lanes may be: a new contact finds one within a second, whatever waits.
local REACH_MS = { [NEW] = AHEAD_MS, [RETRY] = 600, [DELETION] = 400, [CHANGE] = 400, [BULK] = 400 }

redis.call('ZREM', WORKERS, args.worker)
if args.worker ~= '' then redis.call('ZADD', WORKERS, now, args.worker) end
if args.report ~= '' then redis.call('HSET', REPORTS, args.worker, args.report) end
local gone = redis.call('ZRANGE', WORKERS, '-inf', now - args.worker_kept_ms, 'BYSCORE')
if #gone == 0 then gone = redis.call('ZRANGE', WORKERS, 0, -1 - MAX_WORKERS) end
if #gone > 0 then
  redis.call('ZREM', WORKERS, unpack(gone))
  redis.call('HDEL', REPORTS, unpack(gone))
end

local handed, messages = 0, redis.call('LLEN', QUEUE)
local up = redis.call('HMGET', UPSTREAM, 'paused_at', 'stop', 'pace', 'free_before', 'slot', 'bundles', 'bundle_size')
local is_paused, stopped, pace, free_before, slot = up[1], up[2], up[3], up[4], tonumber(up[5] or 0)

-- The next `bundles` messages to be read may name up to `bundle_size` contacts each; those behind them name one.
local bundles, bundle_size = math.min(messages, tonumber(up[6] or 0)), tonumber(up[7] or 1)
-- The contacts that wait in the queue, at most.
local waiting = messages + bundles * (bundle_size - 1)

-- What operators wait for takes half of the pace at most, and what that is in half a second at once.
local OPERATOR_MS = policy.rate > 0 and 2000 / pace_of(pace) or 0
local operator_slot = tonumber(redis.call('HGET', UPSTREAM, 'operator_slot') or 0)
operator_slot = math.max(exact, math.min(operator_slot, exact + AHEAD_MS / 2 + OPERATOR_MS))

-- Returns how many contacts of the lane OPERATOR may be handed over: what is in the queue does not delay them.
local function room_for_operators()
  if policy.rate <= 0 then return args.bounds[1] - waiting end
  return math.min(args.bounds[1] - waiting, math.floor((exact + AHEAD_MS / 2 - operator_slot) / OPERATOR_MS) + 1)
end

-- Returns how many contacts of a lane may be handed over.
local function room(nth)
  if is_paused then return 0 end
  if stopped then return messages > 0 and 0 or probe_room() - handed end
  if SWEPT[nth] == OPERATOR then return math.min(args.max_handed, room_for_operators()) end
  local bound = args.bounds[nth]
  if policy.rate > 0 then
    -- Only those whose times are soon after the next sweep; workers already have the ones before `slot`.
    local free_ms = REACH_MS[SWEPT[nth]] + NEXT_SWEEP_MS - math.max(0, slot - exact)
    bound = math.min(bound, math.ceil(pace_of(pace) * math.max(0, free_ms) / 1000))
  end
  return math.min(args.max_handed - handed, bound - waiting - handed)
end

-- Moves those out of the lane HELD whose next attempt is after their inbox became free. Returns whether there are more.
-- The others that are there since then wait for another inbox.
local function release_later(most)
  local first, moved = HELD * LANE, 0
  local later = redis.call('ZRANGE', DUE, string.format('%.0f', first + LANE - 1), string.format('(%.0f', first + free_before),
    'BYSCORE', 'REV', 'LIMIT', 0, most, 'WITHSCORES')
  for i = 1, #later, 2 do
    local at = later[i + 1] - first
    if tonumber(redis.call('HGET', PREFIX .. 'c:' .. later[i], 'next_attempt_at') or 0) == at then
      redis.call('ZADD', DUE, string.format('%.0f', RETRY * LANE + math.max(now, at)), later[i])
      moved = moved + 1
    end
  end
  return moved == most
end

-- Moves contacts out of the lane HELD, where they wait for their inbox: some when a probe is due, all when it is free.
local function release_held()
  local most, before = 0, now
  for _, field in ipairs(redis.call('HGETALL', INBOXES)) do
    if string.match(field, ':probe_at$') and now >= tonumber(redis.call('HGET', INBOXES, field)) then most = 10 end
  end
  if free_before then most, before = args.max_handed, tonumber(free_before) end
  if most == 0 then return end
  local held = redis.call('ZRANGE', DUE, HELD * LANE, string.format('%.0f', HELD * LANE + before), 'BYSCORE', 'LIMIT', 0, most)
  for _, contact in ipairs(held) do redis.call('ZADD', DUE, string.format('%.0f', RETRY * LANE + now), contact) end
  if free_before and #held < most and not release_later(most) then redis.call('HDEL', UPSTREAM, 'free_before') end
end

-- Contacts without an inbox now have the one of the settings.
if policy.inbox_id ~= '' and redis.call('HEXISTS', INBOXES, ':since') == 1 then
  free_inbox('')
  free_before = now
end
release_held()

-- Puts a message for these contacts into the queue. Workers take messages from the right.
local function push(lane, keys)
  local fill = { key = table.concat(keys, ' '), id = args.sweep_id .. '-' .. handed }
  messages = redis.call(lane == OPERATOR and 'RPUSH' or 'LPUSH', QUEUE, (string.gsub(args.template, '@(%l+)@', fill)))
end

-- Returns how many contacts share a message, of `many` that may be handed over.
local function share_of(lane, many)
  if lane == OPERATOR then return 1 end
  if messages >= SPREAD then return args.keys_per_message end
  return math.max(1, math.min(args.keys_per_message, math.floor(many / SPREAD)))
end

-- Hands these contacts over, and leaves them alone for the grace.
local function hand_over(lane, keys)
  local moved, score = {}, string.format('%.0f', lane * LANE + now + args.grace_ms)
  for i, contact in ipairs(keys) do moved[2 * i - 1], moved[2 * i] = score, contact end
  redis.call('ZADD', DUE, unpack(moved))
  handed = handed + #keys
  push(lane, keys)
end

local found, more = messages, 0
for nth, lane in ipairs(SWEPT) do
  local most = math.max(0, room(nth))
  local base = lane * LANE
  local keys = redis.call('ZRANGE', DUE, string.format('%.0f', base), string.format('%.0f', base + now), 'BYSCORE',
    'LIMIT', 0, most + 1)
  local many = math.min(most, #keys)
  local size = share_of(lane, many)
  -- While all are busy, messages are not made smaller only because there is room for a few contacts.
  if messages >= SPREAD and #keys > many then many = many - many % size end
  for first = 1, many, size do hand_over(lane, { unpack(keys, first, math.min(first + size - 1, many)) }) end
  if size > 1 and many > 0 then bundles, bundle_size = messages, math.max(size, bundles > 0 and bundle_size or 1) end
  if lane == OPERATOR and handed > 0 then
    redis.call('HSET', UPSTREAM, 'operator_slot', string.format('%.3f', operator_slot + handed * OPERATOR_MS))
  end
  if #keys > many then more = 1 end
end
if bundles ~= tonumber(up[6] or 0) then redis.call('HSET', UPSTREAM, 'bundles', bundles, 'bundle_size', bundle_size) end
return { handed, found, more }
