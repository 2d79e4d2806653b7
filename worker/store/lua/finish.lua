-- Ends an attempt: state, attempt, cause, counts, due and lease change together, and only if the lease is still ours. What
-- the attempt says about LiveDesk moves the pace and the breaker for everybody.
--
-- ARGV   [3] token   [4] fingerprint of the data that was sent   [5] the attempt (one line of JSON)   [6] new state
--        [7] cause ('' for none)   [8] contact id ('' for none)   [9] outcome ('' for none)   [10] notes (JSON, '' for none)
--        [11] id of the contact in the way ('' for none)   [12] ms until the next attempt (state 'retrying' only)
--        [13] the unanswered create: 'now' (this attempt's), 'keep' (as it was), 'clear' (it is known now)
--        [14] failures in a row   [15] failures in a row with this cause   [16] retry budget spent, in ms
--        [17] how many attempts are kept besides the first   [18] ms after which a cause that was not seen counts as new
--        [19] failures in a row while LiveDesk answered others   [20] what it says about LiveDesk (model.Signal)
--        [21] HTTP status ('' for none)   [22] ms for which LiveDesk wants no request   [23] requests a second, 0: no limit
--        [24] first and [25] longest wait for a probe, in ms   [26] the contact's inbox ('' for none)   [27] most causes
--        [28] finder of the contact id ('' for none)
-- Returns {'done', 1 if the cause is new else 0, what changed for everybody: '', 'down', 'misconfigured', 'inbox' or
--         'resumed'}, or {'stale'}: the lease was lost, nothing changed; the contact id that a late success learned is kept
--         beside the record for the next look-up.

local record = redis.call('HMGET', RECORD, 'state', 'token', 'attempts', 'fingerprint', 'cause', 'operation', 'finders')
local state, attempts, fingerprint, operation = record[1], record[3], record[4], record[6]
local to, cause, contact_id = ARGV[6], ARGV[7], ARGV[8]

if state ~= 'sending' or record[2] ~= ARGV[3] then
  if contact_id ~= '' and state and state ~= 'created' then redis.call('HSET', RECORD, 'late_id', contact_id) end
  return { 'stale' }
end

-- Other data came meanwhile, and what was said of the older ones does not hold for them: they get a try of their own.
local is_newer = fingerprint ~= ARGV[4]
if is_newer and (to == 'failed' or to == 'conflict') then to = 'retrying' end

local function log_attempt()
  if not attempts then
    attempts = ARGV[5]
  else
    local first, rest = string.match(attempts, '^([^\n]*)\n?(.*)$')
    local _, kept = string.gsub(rest, '[^\n]+', '')
    if kept >= tonumber(ARGV[17]) then rest = string.match(rest, '\n(.*)$') or '' end
    attempts = first .. (rest ~= '' and '\n' .. rest or '') .. '\n' .. ARGV[5]
  end
  redis.call('HSET', RECORD, 'attempts', attempts)
end

-- A created contact keeps what idempotency needs; the personal data goes, and so does what its last attempt
-- tells (when it was closed) and what is the usual case (outcome 'created', one attempt).
local function shrink()
  local kept = { 'state', 'created', 'contact_id', contact_id, 'attempts', ARGV[5] }
  local stays = { 'identifier', 'source', 'received_at', 'fingerprint', 'attempts_made' }
  local values = redis.call('HMGET', RECORD, unpack(stays))
  for i, field in ipairs(stays) do
    if values[i] and not (field == 'attempts_made' and values[i] == '1') then
      kept[#kept + 1] = field
      kept[#kept + 1] = values[i]
    end
  end
  if record[7] then remove_finders(record[7]) end
  redis.call('DEL', RECORD)
  redis.call('HSET', RECORD, unpack(kept))
  if ARGV[9] ~= 'created' then redis.call('HSET', RECORD, 'outcome', ARGV[9]) end
  if ARGV[10] ~= '' then redis.call('HSET', RECORD, 'notes', ARGV[10]) end
  if is_newer then redis.call('HSET', RECORD, 'fingerprint', ARGV[4], 'newer', fingerprint, 'newer_at', now) end
end

local function set(field, value)
  if value == '' then redis.call('HDEL', RECORD, field) else redis.call('HSET', RECORD, field, value) end
end

-- Puts the contact among those of the cause. Returns whether nobody saw this cause lately.
local function note_cause()
  local seen = redis.call('ZSCORE', CAUSES, cause)
  if not seen and redis.call('ZCARD', CAUSES) >= tonumber(ARGV[27]) then
    cause = 'other'
    seen = redis.call('ZSCORE', CAUSES, cause)
  end
  local is_new = tonumber(seen or 0) < now - ARGV[18]
  if is_new then
    redis.call('DEL', PEOPLE .. cause)
    redis.call('HSET', COUNTS, 'since:' .. cause, now)
  end
  redis.call('ZADD', CAUSES, now, cause)
  redis.call('PFADD', PEOPLE .. cause, key)
  redis.call('ZADD', CAUSE .. cause, now, key)
  redis.call('HSET', RECORD, 'cause', cause)
  count('cause:' .. cause)
  return is_new
end

local function end_lease()
  redis.call('HDEL', RECORD, 'token', 'lease_until')
  if ARGV[20] ~= 'postponed' then redis.call('HDEL', RECORD, 'trigger') end
  log_attempt()
  if not is_newer then set('notes', ARGV[10]) end
  set('owner_id', ARGV[11])
  if ARGV[13] == 'now' then redis.call('HSET', RECORD, 'unknown_since', now) end
  -- LiveDesk's answer, or its silence, was heard out by a worker that lived: this contact is not what kills them.
  if ARGV[13] ~= 'keep' then redis.call('HDEL', RECORD, 'crashes') end
  if ARGV[13] == 'clear' then redis.call('HDEL', RECORD, 'unknown_since') end
  redis.call('HSET', RECORD, 'failures', ARGV[14], 'repeats', ARGV[15], 'spent_ms', ARGV[16])
  set('suspect', ARGV[19] == '0' and '' or ARGV[19])
  if to == 'retrying' then
    redis.call('HSET', RECORD, 'next_attempt_at', now + ARGV[12])
    due_at(ARGV[20] == 'inbox' and HELD or RETRY, now + ARGV[12])
  else
    redis.call('HSET', RECORD, 'closed_at', now)
    redis.call('ZREM', DUE, key)
  end
end

-- What the attempt says about LiveDesk, for everybody.
local function hear(signal)
  local rate, first, longest = tonumber(ARGV[23]), tonumber(ARGV[24]), tonumber(ARGV[25])
  local up = redis.call('HMGET', UPSTREAM, 'stop', 'probe', 'probes')
  local stopped, is_probe = up[1], up[1] and up[2] == ARGV[3]

  local function put_off(wait, failed)
    if not is_probe then return end
    redis.call('HSET', UPSTREAM, 'probes', (up[3] or 0) + failed, 'probe_at', now + wait, 'probe_until', 0)
  end

  if signal == 'well' then
    count('well')
    redis.call('HSET', UPSTREAM, 'answered_at', now)
    local freed = free_inbox(ARGV[26])
    if is_probe then
      resume(rate)
      return 'resumed'
    end
    if not stopped then
      redis.call('DEL', FAILING)
      raise_pace(rate)
    end
    return freed and 'resumed' or ''
  end
  if signal == 'throttled' then
    count('throttled')
    lower_pace(rate, tonumber(ARGV[22]))
    put_off(tonumber(ARGV[22]), 0)
  elseif signal == 'inbox' then
    put_off(0, 0)
    return hold_inbox(ARGV[26], first, longest) and 'inbox' or ''
  elseif signal == 'misconfigured' then
    put_off(backoff(tonumber(up[3] or 0) + 1, first, longest), 1)
    if stopped == 'misconfigured' or ARGV[19] ~= '0' then return '' end
    stop('misconfigured', cause, ARGV[21], first)
    return 'misconfigured'
  elseif signal == 'fault' then
    count('fault')
    put_off(backoff(tonumber(up[3] or 0) + 1, first, longest), 1)
    if stopped or ARGV[19] ~= '0' then return '' end
    redis.call('SADD', FAILING, key)
    if redis.call('SCARD', FAILING) < TRIP_CONTACTS and not is_mostly_failing() then return '' end
    stop('down', cause, ARGV[21], first)
    return 'down'
  else
    put_off(0, 0)
  end
  return ''
end

local is_new_cause = 0
enter(to, state)
if record[5] and record[5] ~= cause then forget_cause(record[5]) end
if to == 'created' then
  redis.call('ZREM', DUE, key)
  shrink()
  add_finders(ARGV[28])
else
  if cause ~= '' and (record[5] ~= cause or ARGV[20] ~= 'postponed') and note_cause() then is_new_cause = 1 end
  end_lease()
end
if ARGV[20] ~= 'postponed' then
  count(to)
  leave_operation(operation, to == 'created' and 'recovered' or cause == record[5] and 'same' or 'again')
end
return { 'done', is_new_cause, hear(ARGV[20]) }
