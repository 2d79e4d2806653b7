-- Ends an attempt: state, attempt, cause, due and lease change together, and only if the lease is still ours.
--
-- ARGV   [3] token   [4] fingerprint of the data that was sent   [5] the attempt (one line of JSON)   [6] new state
--        [7] cause ('' for none)   [8] contact id ('' for none)   [9] outcome ('' for none)   [10] notes (JSON, '' for none)
--        [11] id of the contact in the way ('' for none)   [12] ms until the next attempt (state 'retrying' only)
--        [13] the unanswered create: 'now' (this attempt's), 'keep' (as it was), 'clear' (it is known now)
--        [14] failures in a row   [15] failures in a row with this cause   [16] retry budget spent, in ms
--        [17] how many attempts are kept besides the first   [18] ms after which a cause that was not seen counts as new
-- Returns {'done', 1 if the cause is new else 0}, or {'stale'}: the lease was lost, nothing changed; the contact id that a
--         late success learned is kept beside the record for the next look-up.

local record = redis.call('HMGET', RECORD, 'state', 'token', 'attempts', 'fingerprint')
local state, attempts, fingerprint = record[1], record[3], record[4]
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
  redis.call('DEL', RECORD)
  redis.call('HSET', RECORD, unpack(kept))
  if ARGV[9] ~= 'created' then redis.call('HSET', RECORD, 'outcome', ARGV[9]) end
  if ARGV[10] ~= '' then redis.call('HSET', RECORD, 'notes', ARGV[10]) end
  if is_newer then redis.call('HSET', RECORD, 'fingerprint', ARGV[4], 'newer', fingerprint, 'newer_at', now) end
end

local function set(field, value)
  if value == '' then redis.call('HDEL', RECORD, field) else redis.call('HSET', RECORD, field, value) end
end

local is_new_cause = 0
if cause ~= '' then
  local seen = tonumber(redis.call('ZSCORE', CAUSES, cause) or 0)
  if seen < now - ARGV[18] then is_new_cause = 1 end
end

enter(to, state)
if to == 'created' then
  redis.call('ZREM', DUE, key)
  shrink()
else
  redis.call('HDEL', RECORD, 'token', 'lease_until')
  log_attempt()
  set('cause', cause)
  if not is_newer then set('notes', ARGV[10]) end
  set('owner_id', ARGV[11])
  if ARGV[13] == 'now' then redis.call('HSET', RECORD, 'unknown_since', now) end
  -- LiveDesk's answer, or its silence, was heard out by a worker that lived: this contact is not what kills them.
  if ARGV[13] ~= 'keep' then redis.call('HDEL', RECORD, 'crashes') end
  if ARGV[13] == 'clear' then redis.call('HDEL', RECORD, 'unknown_since') end
  redis.call('HSET', RECORD, 'failures', ARGV[14], 'repeats', ARGV[15], 'spent_ms', ARGV[16])
  if to == 'retrying' then
    redis.call('HSET', RECORD, 'next_attempt_at', now + ARGV[12])
    due_at(RETRY, now + ARGV[12])
  else
    redis.call('HSET', RECORD, 'closed_at', now)
    redis.call('ZREM', DUE, key)
  end
end
if cause ~= '' then redis.call('ZADD', CAUSES, now, cause) end
return { 'done', is_new_cause }
