-- When nothing is sent but probes: for everybody, or for the contacts of one inbox. Needs: upstream.
--
-- The hash `upstream`:
--   stop         'down' (LiveDesk fails), 'misconfigured' (it refuses our requests) or 'hold' (it wants no requests for now, or
--                refuses every contact with the same words)
--   stop_cause, stop_since, stop_status
--   stop_until   when LiveDesk wants requests again   stop_words  what it answers to everybody
--   probes       how many probes have failed   probe_at  when the next one may go
--   probe_until  those under way have ended by then   probe_room  how many contacts may still join them
--   asking_until a worker asks LiveDesk by then something that is about no contact   asked_at  when it last answered that
--   refusal      the words of the last refusal   created_at, created_inbox  see upstream.lua
--   back_at      when the last stop ended   away_since  when it had begun
--   free_before  contacts that began to wait for an inbox before then may leave the lane HELD, and so may those whose next
--                attempt is later
-- The set `probing`: the tokens of the probes under way. The set `failing`: the contacts whose attempts failed since LiveDesk
-- last answered. The set `refused`: those that it refused with the words `refusal`, one after the other.
-- The hash `inboxes` has for each inbox that is held: <inbox>:since, :probe_at, :probes, :cause.
-- The hash `inbox_failing` has for each inbox whose last creates failed: <inbox>:since, :many, :last (the contact).

local PROBING, REFUSED = PREFIX .. 'probing', PREFIX .. 'refused'
local INBOX_FAILING = PREFIX .. 'inbox_failing'

-- A stop needs this many contacts that fail or are refused in a row, or half of the attempts of this minute and the last.
local TRIP_CONTACTS, TRIP_ATTEMPTS, TRIP_SHARE = 5, 20, 0.5
-- An inbox is held when this many of its contacts fail in a row, while LiveDesk creates others.
local TRIP_INBOX = 3
-- LiveDesk's answer to a question about no contact counts for this long.
local ANSWER_FRESH_MS = 10000
-- While everybody is refused with the same words, each probe is twice as many contacts as the one before: if the refusals
-- were about the contacts after all, it does not take long until one of the others is among them.
local MAX_PROBES, LONGEST_REFUSAL_MS = 32, 15000
-- How much longer each wait for a probe is than the one before. Who waits for LiveDesk learns late that it is back, by a
-- quarter of the time that it was away at most.
local PROBE_GROWTH = 1.25
-- LiveDesk is not asked sooner than this after a 429, nor later, whatever it says.
local SHORTEST_HOLD_MS, LONGEST_HOLD_MS = 1000, 180000

-- Probes

local function is_probe_due(probe_at, probe_until)
  return now >= tonumber(probe_at or 0) and now >= tonumber(probe_until or 0)
end

-- Returns how many contacts probe together.
local function probes_at_once(stop, words, probes)
  if stop ~= 'hold' or not words then return 1 end
  return math.min(MAX_PROBES, 2 ^ math.min(tonumber(probes or 0), 10))
end

-- Returns how many more contacts may probe now.
local function probe_room()
  local up = redis.call('HMGET', UPSTREAM, 'probe_at', 'probe_until', 'probe_room', 'stop', 'stop_words', 'probes')
  if is_probe_due(up[1], up[2]) then return probes_at_once(up[4], up[5], up[6]) end
  return tonumber(up[3] or 0)
end

local function begin_probe(token, lease_ms)
  local room = probe_room() - 1
  local up = redis.call('HMGET', UPSTREAM, 'probe_at', 'probe_until')
  if is_probe_due(up[1], up[2]) then redis.call('DEL', PROBING) end
  redis.call('SADD', PROBING, token)
  redis.call('HSET', UPSTREAM, 'probe_room', room, 'probe_until', now + lease_ms)
end

-- The last one of those that probe together decides when the next ones go.
local function end_probe(wait, failed)
  if redis.call('SCARD', PROBING) > 0 then return end
  redis.call('HINCRBY', UPSTREAM, 'probes', failed)
  redis.call('HSET', UPSTREAM, 'probe_at', math.floor(now + wait), 'probe_until', 0, 'probe_room', 0)
end

-- Returns the wait until the next probe, in ms: with PROBE_GROWTH it is about a quarter of the time since the first one.
local function backoff(probes, longest)
  return math.min(longest or policy.probe_longest_ms, policy.probe_first_ms * PROBE_GROWTH ^ math.min(probes, 100))
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

-- Stops

local function end_stop()
  redis.call('DEL', FAILING, REFUSED, PROBING)
  redis.call('HDEL', UPSTREAM, 'stop', 'stop_cause', 'stop_status', 'stop_since', 'stop_until', 'stop_words', 'probes',
    'probe_at', 'probe_until', 'probe_room', 'refusal')
end

local function stop(kind, cause, status)
  end_stop()
  redis.call('HSET', UPSTREAM, 'stop', kind, 'stop_cause', cause, 'stop_status', status or '', 'stop_since', now,
    'probes', 0, 'probe_at', now + policy.probe_first_ms)
  return kind
end

local function resume()
  local up = redis.call('HMGET', UPSTREAM, 'stop_cause', 'stop_since')
  local is_limited = up[1] == 'throttled'
  redis.call('HSET', UPSTREAM, 'back_at', now, 'away_since', up[2] or now)
  end_stop()
  restart_pace(is_limited)
  return 'resumed'
end

-- LiveDesk wants no requests for `wait` ms. It is probed after LONGEST_HOLD_MS nevertheless: its limit may be over, or it may
-- have been about one contact. Returns 'hold' if this is new.
local function hold_for(wait, cause, status)
  local up = redis.call('HMGET', UPSTREAM, 'stop', 'stop_cause', 'stop_until')
  local is_new = up[1] ~= 'hold' or up[2] ~= cause
  if is_new then stop('hold', cause, status) end
  local ends = math.max(now + wait, is_new and 0 or tonumber(up[3] or 0))
  local probe_at = math.min(math.max(ends, now + SHORTEST_HOLD_MS), now + LONGEST_HOLD_MS)
  redis.call('HSET', UPSTREAM, 'stop_until', math.floor(ends), 'probe_at', math.floor(probe_at))
  return is_new and 'hold' or ''
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

-- Returns 'ask' where the caller is to ask LiveDesk something that is about no contact, and to report that (answered.lua).
local function ask()
  local up = redis.call('HMGET', UPSTREAM, 'asking_until', 'asked_at')
  if now < tonumber(up[1] or 0) or now < tonumber(up[2] or 0) + ANSWER_FRESH_MS then return '' end
  redis.call('HSET', UPSTREAM, 'asking_until', now + args.lease_ms)
  return 'ask'
end

-- Inboxes

-- Holds an inbox that LiveDesk does not know, or fails for: its contacts wait in a lane of their own, and one of them probes
-- from time to time. Returns 'inbox' if this is new.
local function hold_inbox(inbox, cause)
  local probes = tonumber(redis.call('HGET', INBOXES, inbox .. ':probes') or -1) + 1
  redis.call('HSETNX', INBOXES, inbox .. ':since', now)
  redis.call('HSET', INBOXES, inbox .. ':probes', probes, inbox .. ':probe_at', now + backoff(probes), inbox .. ':cause', cause)
  redis.call('HDEL', INBOX_FAILING, inbox .. ':since', inbox .. ':many', inbox .. ':last')
  return probes == 0 and 'inbox' or ''
end

local function is_inbox_held(inbox)
  return redis.call('HEXISTS', INBOXES, inbox .. ':since') == 1
end

-- LiveDesk has created a contact in this inbox. Returns whether it was held. The sweep hands over the contacts that wait.
local function free_inbox(inbox)
  redis.call('HDEL', INBOX_FAILING, inbox .. ':since', inbox .. ':many', inbox .. ':last')
  if redis.call('EXISTS', INBOXES) == 0 then return false end
  if redis.call('HDEL', INBOXES, inbox .. ':since', inbox .. ':probes', inbox .. ':probe_at', inbox .. ':cause') == 0 then
    return false
  end
  redis.call('HSET', UPSTREAM, 'free_before', now)
  return true
end

-- A create failed that may be the inbox's fault. Returns 'inbox' if that is held from now on.
local function note_failing(inbox, cause)
  if is_inbox_held(inbox) then return hold_inbox(inbox, cause) end
  local failing = redis.call('HMGET', INBOX_FAILING, inbox .. ':since', inbox .. ':many', inbox .. ':last')
  if failing[3] == key then return '' end
  local since, many = tonumber(failing[1] or now), tonumber(failing[2] or 0) + 1
  local created = redis.call('HMGET', UPSTREAM, 'created_at', 'created_inbox')
  if many >= TRIP_INBOX and created[2] ~= inbox and tonumber(created[1] or 0) >= since then return hold_inbox(inbox, cause) end
  redis.call('HSET', INBOX_FAILING, inbox .. ':since', since, inbox .. ':many', many, inbox .. ':last', key)
  return ''
end

-- What attempts report

local function report_ok(is_probe, is_stopped, creates)
  count('ok')
  redis.call('HSET', UPSTREAM, 'answered_at', now)
  local is_freed = false
  if creates then
    is_freed = free_inbox(args.inbox)
    redis.call('HSET', UPSTREAM, 'created_at', now, 'created_inbox', args.inbox)
  end
  if is_probe then return resume() end
  if not is_stopped then
    redis.call('DEL', FAILING, REFUSED)
    raise_pace()
  end
  return is_freed and 'resumed' or ''
end

-- LiveDesk refuses, in words that may be about everybody.
local function report_refused(stopped, is_probe, result, cause)
  if stopped == 'hold' then
    if is_probe then end_probe(backoff(redis.call('HGET', UPSTREAM, 'probes') + 1, LONGEST_REFUSAL_MS), 1) end
    return ''
  end
  if is_probe then resume() end
  if stopped and not is_probe or result.is_alone then return '' end
  local refusal = cause .. ' ' .. (result.words or '')
  if redis.call('HGET', UPSTREAM, 'refusal') ~= refusal then
    redis.call('DEL', REFUSED)
    redis.call('HSET', UPSTREAM, 'refusal', refusal)
  end
  redis.call('SADD', REFUSED, key)
  if redis.call('SCARD', REFUSED) < TRIP_CONTACTS then return is_probe and 'resumed' or '' end
  stop('hold', cause, result.status)
  redis.call('HSET', UPSTREAM, 'stop_words', result.words or '')
  return 'hold'
end

-- LiveDesk refuses our request, or fails: for everybody, or for this contact alone.
local function report_failure(stopped, is_probe, result, cause)
  local kind = result.signal == 'misconfigured' and 'misconfigured' or 'down'
  if kind == 'down' then count('error') end
  if is_probe then end_probe(backoff(redis.call('HGET', UPSTREAM, 'probes') + 1), 1) end
  if result.is_alone or stopped and not is_probe then return '' end
  if kind == 'down' and not stopped then
    redis.call('SADD', FAILING, key)
    if redis.call('SCARD', FAILING) < TRIP_CONTACTS and not is_mostly_failing() then return '' end
  end
  if stopped == kind and not result.status then return '' end
  if result.asks then return ask() end
  return stopped == kind and '' or stop(kind, cause, result.status)
end

-- Takes in what a model.AttemptResult says about LiveDesk; from the arguments: token, inbox (the contact's), lease_ms.
-- is_create: the attempt was to create the contact.
-- Returns what changed for all contacts: '', 'down', 'misconfigured', 'hold', 'inbox', 'resumed' or 'ask'; and where the
-- contact waits, if not for its own sake: 'sync', 'inbox' or nil.
local function report(result, cause, is_create)
  local signal = result.signal
  local stopped = redis.call('HGET', UPSTREAM, 'stop')
  local is_probe = redis.call('SREM', PROBING, args.token) == 1 and stopped
  local change = ''

  if signal == 'ok' then
    return report_ok(is_probe, stopped, is_create and result.state == 'created')
  elseif signal == 'inbox' then
    if is_probe then resume() end  -- LiveDesk answers, and accepts our key
    change = hold_inbox(args.inbox, cause)
    return is_probe and 'resumed' or change, 'inbox'
  elseif signal == 'throttled' then
    count('throttled')
    lower_pace()
    if is_probe then end_probe(result.hold_ms, 1) end
    if not result.is_alone then change = hold_for(result.hold_ms, cause, result.status) end
  elseif signal == 'refused' then
    change = report_refused(stopped, is_probe, result, cause)
  elseif signal == 'error' or signal == 'misconfigured' then
    change = report_failure(stopped, is_probe, result, cause)
  else
    if is_probe then end_probe(0, 0) end
    return ''
  end
  if signal ~= 'throttled' and is_create and (result.asks or signal == 'refused') and redis.call('HEXISTS', UPSTREAM, 'stop') == 0 then
    local held = note_failing(args.inbox, cause)
    if change == '' then change = held end
    if is_inbox_held(args.inbox) then return change, 'inbox' end
  end
  local waits = not result.is_alone and redis.call('HEXISTS', UPSTREAM, 'stop') == 1
  return change, waits and 'sync' or nil
end
