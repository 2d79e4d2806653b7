-- What all workers know about LiveDesk, and how they treat it together: pace, circuit breaker, inboxes.
--
-- policy: map            the settings, in the arguments of every script that includes this
--   rate: float            requests a second, 0 for no limit   look_ups_per_second: float
--   probe_first_ms, probe_longest_ms: int   the wait for a probe doubles from the one to the other
--   inbox_id: string       the inbox of contacts that name none, '' for none
--
-- The hash `upstream`:
--   paused_at, paused_by, paused_why   an operator has paused the sync: nothing is sent, not even a probe
--   stop         'down' (the breaker is open) or 'misconfigured' (caused by our configuration): only probes are sent
--   stop_cause, stop_since, stop_status
--   probes       how many probes have failed   probe_at  when the next one may go   probe, probe_until  the one under way
--   pace         requests a second, while it is below the rate   lowered_at, raised_at
--   slot         when the next request may go, in ms with fractions   look_up_slot  the same for look-ups
--   operator_slot  when the next contact of the lane OPERATOR may be handed over
--   answered_at  when LiveDesk last answered an attempt
--   free_before  contacts that began to wait for an inbox before then may leave the lane HELD, and so may those whose next
--                attempt is later
-- The hash `inboxes` has for each inbox that LiveDesk does not know: <inbox>:since, :probe_at, :probes.
-- The set `failing`: the contacts whose attempts failed because of LiveDesk since it last answered.

local policy = args.policy

-- How far ahead the time of a request may be: no worker sleeps for longer.
local AHEAD_MS = 1000
-- A little below the rate, so that requests which the network delays do not exceed it.
local HEADROOM = 0.975
-- After a 429 half the pace, at most once a second, and never below this share of the rate.
local LOWEST = 1 / 64
-- How much a second of good answers raises the pace, as a share of the rate; and where the pace starts after a stop.
local GAIN, RAMP_FROM = 0.05, 0.1
-- The breaker opens when this many contacts fail in a row, or half of the attempts of this minute and the last.
local TRIP_CONTACTS, TRIP_ATTEMPTS, TRIP_SHARE = 5, 20, 0.5

local function pace_of(pace)
  return math.min(policy.rate, tonumber(pace or policy.rate))
end

-- Reserves times for some requests, one after the other, if the first may go within AHEAD_MS.
-- Returns the wait until the first and from one to the next, in ms; or nil and when to ask again.
local function reserve(requests, look_ups)
  if policy.rate <= 0 then return 0, 0 end
  local up = redis.call('HMGET', UPSTREAM, 'slot', 'look_up_slot', 'pace')
  local at = math.max(exact, tonumber(up[1] or 0))
  if look_ups > 0 then at = math.max(at, tonumber(up[2] or 0)) end
  if at - exact > AHEAD_MS then return nil, math.ceil(at) end
  local interval = 1000 / (pace_of(up[3]) * HEADROOM)
  redis.call('HSET', UPSTREAM, 'slot', string.format('%.3f', at + requests * interval))
  if look_ups > 0 then
    redis.call('HSET', UPSTREAM, 'look_up_slot',
      string.format('%.3f', at + look_ups * 1000 / (policy.look_ups_per_second * HEADROOM)))
  end
  return math.ceil(at - exact), math.ceil(interval)
end

local function is_probe_due(probe_at, probe_until)
  return now >= tonumber(probe_at or 0) and now >= tonumber(probe_until or 0)
end

-- Returns the wait until the next probe, in ms.
local function backoff(probes)
  return math.min(policy.probe_longest_ms, policy.probe_first_ms * 2 ^ math.min(probes, 30))
end

local function stop(kind, cause, status)
  redis.call('HSET', UPSTREAM, 'stop', kind, 'stop_cause', cause, 'stop_status', status or '', 'stop_since', now,
    'probes', 0, 'probe_at', now + policy.probe_first_ms)
  redis.call('HDEL', UPSTREAM, 'probe', 'probe_until')
end

local function resume()
  redis.call('DEL', FAILING)
  redis.call('HDEL', UPSTREAM, 'stop', 'stop_cause', 'stop_status', 'stop_since', 'probes', 'probe_at', 'probe',
    'probe_until')
  local rate = policy.rate
  if rate > 0 then
    redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', math.max(rate * RAMP_FROM, math.min(1, rate))),
      'raised_at', now)
  end
end

-- Makes the next probe due now, where the sync stopped by itself and for each inbox that is held. Returns how many.
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

-- Whether enough of the recent attempts failed because of LiveDesk.
local function is_mostly_failing()
  local errors, all = 0, 0
  local minute = math.floor(now / 60000)
  for back = 0, 1 do
    local counted = redis.call('HMGET', minute_key(minute - back), 'error', 'ok')
    errors = errors + tonumber(counted[1] or 0)
    all = all + tonumber(counted[1] or 0) + tonumber(counted[2] or 0)
  end
  return all >= TRIP_ATTEMPTS and errors >= all * TRIP_SHARE
end

local function lower_pace(hold_ms)
  local rate = policy.rate
  local up = redis.call('HMGET', UPSTREAM, 'slot', 'pace', 'lowered_at')
  if rate > 0 and now - tonumber(up[3] or 0) >= 1000 then
    redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', math.max(pace_of(up[2]) / 2, rate * LOWEST)),
      'lowered_at', now, 'raised_at', now)
  end
  redis.call('HSET', UPSTREAM, 'slot', string.format('%.3f', math.max(tonumber(up[1] or 0), now + hold_ms)))
end

local function raise_pace()
  local rate = policy.rate
  local up = redis.call('HMGET', UPSTREAM, 'pace', 'raised_at')
  if not up[1] then return end
  local seconds = math.min(1, (now - tonumber(up[2] or 0)) / 1000)
  local pace = pace_of(up[1]) + rate * GAIN * seconds
  if pace >= rate then
    redis.call('HDEL', UPSTREAM, 'pace', 'raised_at', 'lowered_at')
  elseif seconds >= 0.1 then
    redis.call('HSET', UPSTREAM, 'pace', string.format('%.4f', pace), 'raised_at', now)
  end
end

-- Holds an inbox that LiveDesk does not know: its contacts wait in a lane of their own, and one of them probes from time to
-- time. Returns whether this is new.
local function hold_inbox(inbox)
  local probes = tonumber(redis.call('HGET', INBOXES, inbox .. ':probes') or -1) + 1
  redis.call('HSETNX', INBOXES, inbox .. ':since', now)
  redis.call('HSET', INBOXES, inbox .. ':probes', probes, inbox .. ':probe_at', now + backoff(probes))
  return probes == 0
end

-- Returns whether the inbox was held. The sweep hands over the contacts that wait for it.
local function free_inbox(inbox)
  if redis.call('EXISTS', INBOXES) == 0 then return false end
  if redis.call('HDEL', INBOXES, inbox .. ':since', inbox .. ':probes', inbox .. ':probe_at') == 0 then return false end
  redis.call('HSET', UPSTREAM, 'free_before', now)
  return true
end

-- Takes in what a model.AttemptResult says about LiveDesk; from the arguments: token, inbox (the contact's).
-- Returns what changed for all contacts: '', 'down', 'misconfigured', 'inbox' or 'resumed'.
local function report(result, cause)
  local signal = result.signal
  local up = redis.call('HMGET', UPSTREAM, 'stop', 'probe', 'probes')
  local stopped, is_probe = up[1], up[1] and up[2] == args.token
  local is_suspect = result.suspect > 0

  local function delay_probe(wait, failed)
    if not is_probe then return end
    redis.call('HSET', UPSTREAM, 'probes', (up[3] or 0) + failed, 'probe_at', now + wait, 'probe_until', 0)
  end

  if signal == 'ok' then
    count('ok')
    redis.call('HSET', UPSTREAM, 'answered_at', now)
    local is_freed = free_inbox(args.inbox)
    if is_probe then
      resume()
      return 'resumed'
    end
    if not stopped then
      redis.call('DEL', FAILING)
      raise_pace()
    end
    return is_freed and 'resumed' or ''
  end
  if signal == 'throttled' then
    count('throttled')
    lower_pace(result.hold_ms)
    delay_probe(result.hold_ms, 0)
  elseif signal == 'inbox' then
    delay_probe(0, 0)
    return hold_inbox(args.inbox) and 'inbox' or ''
  elseif signal == 'misconfigured' then
    delay_probe(backoff(tonumber(up[3] or 0) + 1), 1)
    if stopped == 'misconfigured' or is_suspect then return '' end
    stop('misconfigured', cause, result.status)
    return 'misconfigured'
  elseif signal == 'error' then
    count('error')
    delay_probe(backoff(tonumber(up[3] or 0) + 1), 1)
    if stopped or is_suspect then return '' end
    redis.call('SADD', FAILING, key)
    if redis.call('SCARD', FAILING) < TRIP_CONTACTS and not is_mostly_failing() then return '' end
    stop('down', cause, result.status)
    return 'down'
  else
    delay_probe(0, 0)
  end
  return ''
end
