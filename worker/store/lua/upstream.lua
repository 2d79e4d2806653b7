-- What all workers know about LiveDesk together; put before the scripts that ask it or tell it.
--
-- The hash `upstream`:
--   paused_at, paused_by, paused_why   an operator has paused the sync: nothing is sent, not even a probe
--   stop         'down' (the breaker is open) or 'misconfigured' (the fault is ours): nothing but a probe is sent
--   stop_cause, stop_since, stop_status
--   probes       how many probes have failed   probe_at  when the next one may go   probe, probe_until  the one under way
--   pace         requests a second, while it is below the rate   lowered_at, raised_at
--   slot         when the next request may go, in ms with fractions   look_up_slot  the same for look-ups
--   answered_at  when LiveDesk last answered an attempt as it should
-- The hash `inboxes` has for each inbox that LiveDesk does not know: <inbox>:since, :probe_at, :probes.
-- The set `failing`: the contacts whose attempts failed by LiveDesk's fault since it last answered.

-- How far ahead a request may be given its time: no worker sleeps for longer.
local AHEAD_MS = 1000
-- A little below the rate, so that requests which the network delays do not bunch up above it.
local HEADROOM = 0.975
-- After a 429 half the pace, at most once a second, and never below this share of the rate.
local LOWEST = 1 / 64
-- What the pace gains in a second of good answers, as a share of the rate; and where it begins after a stop.
local GAIN, RAMP_FROM = 0.05, 0.1
-- The breaker opens when so many contacts fail in a row, or half of the attempts of this minute and the last.
local TRIP_CONTACTS, TRIP_ATTEMPTS, TRIP_SHARE = 5, 20, 0.5

local function pace_of(rate, pace)
  return math.min(rate, tonumber(pace or rate))
end

-- Gives so many requests their time, one after the other, if the first may go within AHEAD_MS.
-- Returns the wait until the first and from one to the next, in ms, or nil and when to ask again.
local function reserve(rate, requests, look_ups, look_up_rate)
  if rate <= 0 then return 0, 0 end
  local up = redis.call('HMGET', UPSTREAM, 'slot', 'look_up_slot', 'pace')
  local at = math.max(exact, tonumber(up[1] or 0))
  if look_ups > 0 then at = math.max(at, tonumber(up[2] or 0)) end
  if at - exact > AHEAD_MS then return nil, math.ceil(at) end
  local interval = 1000 / (pace_of(rate, up[3]) * HEADROOM)
  redis.call('HSET', UPSTREAM, 'slot', string.format('%.3f', at + requests * interval))
  if look_ups > 0 then
    redis.call('HSET', UPSTREAM, 'look_up_slot', string.format('%.3f', at + look_ups * 1000 / (look_up_rate * HEADROOM)))
  end
  return math.ceil(at - exact), math.ceil(interval)
end

local function is_probe_due(probe_at, probe_until)
  return now >= tonumber(probe_at or 0) and now >= tonumber(probe_until or 0)
end

local function backoff(probes, first, longest)
  return math.min(tonumber(longest), tonumber(first) * 2 ^ math.min(probes, 30))
end

local function stop(kind, cause, status, first)
  redis.call('HSET', UPSTREAM, 'stop', kind, 'stop_cause', cause, 'stop_status', status, 'stop_since', now,
    'probes', 0, 'probe_at', now + first)
  redis.call('HDEL', UPSTREAM, 'probe', 'probe_until')
end

local function resume(rate)
  redis.call('DEL', FAILING)
  redis.call('HDEL', UPSTREAM, 'stop', 'stop_cause', 'stop_status', 'stop_since', 'probes', 'probe_at', 'probe',
    'probe_until')
  if rate > 0 then
    redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', math.max(rate * RAMP_FROM, math.min(1, rate))),
      'raised_at', now)
  end
end

-- The next probe goes at once, where the sync stopped by itself and for each held inbox. Returns how many there are.
local function hasten_probes()
  local many = 0
  if redis.call('HEXISTS', UPSTREAM, 'stop') == 1 then
    redis.call('HSET', UPSTREAM, 'probe_at', now)
    many = 1
  end
  for _, field in ipairs(redis.call('HKEYS', INBOXES)) do
    if string.match(field, ':probe_at$') then
      redis.call('HSET', INBOXES, field, now)
      many = many + 1
    end
  end
  return many
end

-- Whether so many of the recent attempts failed by LiveDesk's fault that it must be down.
local function is_mostly_failing()
  local faults, all = 0, 0
  local minute = math.floor(now / 60000)
  for back = 0, 1 do
    local counted = redis.call('HMGET', MINUTE .. (minute - back), 'fault', 'well')
    faults = faults + tonumber(counted[1] or 0)
    all = all + tonumber(counted[1] or 0) + tonumber(counted[2] or 0)
  end
  return all >= TRIP_ATTEMPTS and faults >= all * TRIP_SHARE
end

local function lower_pace(rate, hold_ms)
  local up = redis.call('HMGET', UPSTREAM, 'slot', 'pace', 'lowered_at')
  if rate > 0 and now - tonumber(up[3] or 0) >= 1000 then
    redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', math.max(pace_of(rate, up[2]) / 2, rate * LOWEST)),
      'lowered_at', now, 'raised_at', now)
  end
  redis.call('HSET', UPSTREAM, 'slot', string.format('%.3f', math.max(tonumber(up[1] or 0), now + hold_ms)))
end

local function raise_pace(rate)
  local up = redis.call('HMGET', UPSTREAM, 'pace', 'raised_at')
  if not up[1] then return end
  local seconds = math.min(1, (now - tonumber(up[2] or 0)) / 1000)
  local pace = pace_of(rate, up[1]) + rate * GAIN * seconds
  if pace >= rate then
    redis.call('HDEL', UPSTREAM, 'pace', 'raised_at', 'lowered_at')
  elseif seconds >= 0.1 then
    redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', pace), 'raised_at', now)
  end
end

-- LiveDesk does not know an inbox: its contacts wait in a lane of their own, and one of them tries now and then.
local function hold_inbox(inbox, first, longest)
  local probes = tonumber(redis.call('HGET', INBOXES, inbox .. ':probes') or -1) + 1
  redis.call('HSETNX', INBOXES, inbox .. ':since', now)
  redis.call('HSET', INBOXES, inbox .. ':probes', probes, inbox .. ':probe_at', now + backoff(probes, first, longest))
  return probes == 0
end

-- Returns whether the inbox was held. Who waits for it is let go by the sweep.
local function free_inbox(inbox)
  if redis.call('EXISTS', INBOXES) == 0 then return false end
  if redis.call('HDEL', INBOXES, inbox .. ':since', inbox .. ':probes', inbox .. ':probe_at') == 0 then return false end
  redis.call('HSET', UPSTREAM, 'free_before', now)
  return true
end
