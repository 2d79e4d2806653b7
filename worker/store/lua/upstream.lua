-- What all workers know about LiveDesk, and how fast they send requests together. breaker.lua says when they send none.
--
-- policy: map            the settings, in the arguments of every script that includes this
--   rate: float            requests a second, 0 for no limit   look_ups_per_second: float
--   probe_first_ms, probe_longest_ms: int   the wait for a probe grows from the one to the other
--   inbox_id: string       the inbox of contacts that name none, '' for none
--
-- The hash `upstream`, which breaker.lua uses, too:
--   paused_at, paused_by, paused_why   an operator has paused the sync: nothing is sent, not even a probe
--   pace           requests a second, while it is below the rate   lowered_at, raised_at
--   ramp_to        the pace up to which it doubles every second
--   slot           when the next request may go, in ms with fractions   look_up_slot  the same for look-ups
--   reserved       the times after `slot` that look-ups have already, with spaces between
--   look_up_line   when the last one in the line for look-ups has its turn
--   look_up_at     the turn in that line of who asks without a contact, as `reconcile` does; a contact has its own
--   operator_slot  when the next contact of the lane OPERATOR may be handed over
--   bundles        the messages in the queue after one that names several contacts   bundle_size  the most that one names
--   answered_at    when LiveDesk last answered an attempt
--   created_at, created_inbox   when and where it last created a contact

local policy = args.policy
local UPSTREAM = PREFIX .. 'upstream'

-- How far ahead the time of a request may be: no worker sleeps for longer.
local AHEAD_MS = 1000
-- A little below the rate, so that requests which are up to 16 ms late do not exceed it (LATE_S in livedesk/paced.py).
local HEADROOM = 0.984
-- After a 429 half the pace, at most once a second, and never below this share of the rate.
local LOWEST = 1 / 64
-- How much a second of good answers raises the pace near what LiveDesk allows, as a share of the rate; and where the pace
-- starts after a stop. Up to `ramp_to` it doubles every second.
local GAIN, RAMP_FROM = 0.05, 0.5

local function pace_of(pace)
  return math.min(policy.rate, tonumber(pace or policy.rate))
end

-- Returns when somebody comes back for a look-up: a little before its turn, behind those that wait for the same.
local function turn_in_line(from, line, apart)
  local at = math.max(from, line)
  redis.call('HSET', UPSTREAM, 'look_up_line', string.format('%.3f', at + apart))
  redis.call('HSET', RECORD or UPSTREAM, 'look_up_at', math.floor(at - AHEAD_MS / 2))
  return math.ceil(at - AHEAD_MS / 2)
end

-- Returns the first time from `at` on at which there is room for some requests between those that are reserved already.
local function first_room(at, requests, interval, reserved)
  for _, other in ipairs(reserved) do
    if at + requests * interval > other and at < other + interval then at = other + interval end
  end
  return at
end

-- Reserves times for some requests, one after the other, if the first may go within AHEAD_MS. While a look-up waits for its
-- limit, others use the time before it: it is one of the `reserved` times after `slot`. If it would have to wait for longer,
-- the contact waits in `due` for its turn. `up`: the first fields that this reads, where the caller has them.
-- Returns the wait until the first and from one to the next, in ms; or nil and when to ask again.
local function reserve(requests, look_ups, up)
  if policy.rate <= 0 then return 0, 0 end
  up = up or redis.call('HMGET', UPSTREAM, 'slot', 'pace', 'reserved')
  local interval, reserved = 1000 / (pace_of(up[2]) * HEADROOM), {}
  for time in string.gmatch(up[3] or '', '%S+') do
    if tonumber(time) + interval > exact then reserved[#reserved + 1] = tonumber(time) end
  end
  local at = first_room(math.max(exact, tonumber(up[1] or 0)), requests, interval, reserved)
  if at - exact > AHEAD_MS then return nil, math.ceil(at) end
  local slot = at + requests * interval
  if look_ups > 0 then
    local waiting = redis.call('HMGET', UPSTREAM, 'look_up_slot', 'look_up_line')
    local free, apart = math.max(exact, tonumber(waiting[1] or 0)), 1000 / (policy.look_ups_per_second * HEADROOM)
    local line, turn = tonumber(waiting[2] or 0), tonumber(redis.call('HGET', RECORD or UPSTREAM, 'look_up_at') or nil)
    if turn and turn > exact then return nil, math.ceil(turn) end
    if free - exact > AHEAD_MS and turn then return nil, math.ceil(free) end
    if not turn and (free - exact > AHEAD_MS or line > exact + apart) then return nil, turn_in_line(free, line, apart) end
    if free > at + interval then
      slot, at = at, first_room(free, requests, interval, reserved)
      for nth = 1, requests do reserved[#reserved + 1] = at + (nth - 1) * interval end
    else
      at = math.max(at, free)
      slot = at + requests * interval
    end
    redis.call('HSET', UPSTREAM, 'look_up_slot', string.format('%.3f', at + look_ups * apart))
    if not RECORD then redis.call('HDEL', UPSTREAM, 'look_up_at') end
  end
  for nth, time in ipairs(reserved) do reserved[nth] = string.format('%.3f', time) end
  redis.call('HSET', UPSTREAM, 'slot', string.format('%.3f', slot), 'reserved', table.concat(reserved, ' '))
  return math.ceil(at - exact), math.ceil(interval)
end

local function lower_pace()
  local rate = policy.rate
  local up = redis.call('HMGET', UPSTREAM, 'pace', 'lowered_at')
  if rate <= 0 or now - tonumber(up[2] or 0) < 1000 then return end
  redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', math.max(pace_of(up[1]) / 2, rate * LOWEST)), 'lowered_at', now,
    'raised_at', now)
  redis.call('HDEL', UPSTREAM, 'ramp_to')
end

local function raise_pace()
  local rate = policy.rate
  local up = redis.call('HMGET', UPSTREAM, 'pace', 'raised_at', 'ramp_to')
  if not up[1] then return end
  local seconds = math.min(1, (now - tonumber(up[2] or 0)) / 1000)
  local before = pace_of(up[1])
  local pace = before + (before < tonumber(up[3] or 0) and before or rate * GAIN) * seconds
  if pace >= rate then
    redis.call('HDEL', UPSTREAM, 'pace', 'raised_at', 'lowered_at', 'ramp_to')
  elseif seconds >= 0.1 then
    redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', pace), 'raised_at', now)
  end
end

-- After a stop the pace starts low and grows fast, unless LiveDesk limits our requests: then it is what that left.
local function restart_pace(is_limited)
  local rate = policy.rate
  if rate <= 0 then return end
  redis.call('HSET', UPSTREAM, 'raised_at', now)
  if is_limited then return end
  redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', math.max(rate * RAMP_FROM, math.min(1, rate))), 'ramp_to', rate)
end
