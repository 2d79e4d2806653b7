-- include: upstream, finders, aliases, causes, lifecycle
-- Ends an attempt: state, attempt, cause, counters, due and lease change together, and only if the lease is still ours.
-- What the attempt reports about LiveDesk moves the pace and the circuit breaker for all workers.
--
-- token, fingerprint: string      of the claim; the fingerprint is that of the data that was sent
-- result: map                     a model.AttemptResult
-- attempt: string                 one line of JSON
-- notes: string or nil            JSON
-- contact_finder: string or nil   the finder of the contact id
-- inbox: string                   the contact's
-- policy: map                     see upstream
-- attempts_kept: int              in addition to the first one
-- cause_fresh_ms, max_causes: int   see causes
-- decisions_kept: int             in the log of what was decided without an operator
-- Returns {'done', 1 if the cause is new else 0, change for all contacts: '', 'down', 'misconfigured', 'inbox' or
-- 'resumed'}; or {'stale'}: the lease was lost and nothing changed, but the contact id that a late success learned is kept
-- for the next look-up.

local record = redis.call('HMGET', RECORD, 'state', 'token', 'attempts', 'fingerprint', 'cause', 'operation', 'finders',
  'resolution')
local from, fingerprint, cause_before, operation = record[1], record[4], record[5], record[6]
local result = args.result
local to, cause = result.state, result.cause
local is_attempt = result.signal ~= 'postponed'
-- What an operator decided about a conflict stays until LiveDesk has answered it.
local is_undecided = record[8] and to == 'retrying'

if from ~= 'sending' or record[2] ~= args.token then
  -- A contact that is only known has another identifier: the next attempt decides anew.
  if result.contact_id and from and from ~= 'created' and result.outcome ~= 'known' then
    redis.call('HSET', RECORD, 'late_id', result.contact_id)
  end
  return { 'stale' }
end

-- Newer data arrived meanwhile, which a final answer to the older data does not settle: it gets an attempt of its own.
local is_newer = fingerprint ~= args.fingerprint
if is_newer and (to == 'failed' or to == 'conflict') then to = 'retrying' end

-- Returns the attempts with this one: the first and the latest ones.
local function with_attempt(attempts)
  if not attempts then return args.attempt end
  local first, rest = string.match(attempts, '^([^\n]*)\n?(.*)$')
  local _, kept = string.gsub(rest, '[^\n]+', '')
  if kept >= args.attempts_kept then rest = string.match(rest, '\n(.*)$') or '' end
  return first .. (rest ~= '' and '\n' .. rest or '') .. '\n' .. args.attempt
end

local function end_lease()
  redis.call('HDEL', RECORD, 'token', 'lease_until')
  if is_attempt then redis.call('HDEL', RECORD, 'trigger') end
  if not is_newer then set('notes', args.notes) end
  if not is_undecided then
    redis.call('HDEL', RECORD, 'resolution')
    set('owner_id', result.owner_id)
  end
  if result.unanswered == 'now' then redis.call('HSET', RECORD, 'unknown_since', now) end
  -- The worker outlived LiveDesk's answer, or its silence: this contact is not what kills workers.
  if result.unanswered ~= 'keep' then redis.call('HDEL', RECORD, 'crashes') end
  if result.unanswered == 'clear' then redis.call('HDEL', RECORD, 'unknown_since') end
  redis.call('HSET', RECORD, 'attempts', with_attempt(record[3]), 'failures', result.failures, 'repeats', result.repeats,
    'spent_ms', result.spent_ms)
  set('suspect', result.suspect > 0 and result.suspect)
  if to == 'retrying' then
    redis.call('HSET', RECORD, 'next_attempt_at', now + result.delay_ms)
    due_at(result.signal == 'inbox' and HELD or RETRY, now + result.delay_ms)
  else
    redis.call('HSET', RECORD, 'closed_at', now)
    redis.call('ZREM', DUE, key)
  end
end

local is_new_cause = false
enter(to, from)
if cause_before and cause_before ~= cause then forget_cause(cause_before) end
if to == 'created' then
  shrink(result.contact_id, result.outcome, args.attempt, args.notes, args.contact_finder, record[7])
  if is_newer then redis.call('HSET', RECORD, 'fingerprint', args.fingerprint, 'newer', fingerprint, 'newer_at', now) end
  if result.decided then
    count('decision:' .. result.decided.choice)
    redis.call('XADD', PREFIX .. 'decisions', 'MAXLEN', '~', args.decisions_kept, '*', 'did', result.decided.did,
      'target', key, 'why', result.decided.why)
  end
else
  if cause and (cause_before ~= cause or is_attempt) then
    is_new_cause, cause = note_cause(cause, args.cause_fresh_ms, args.max_causes)
  end
  end_lease()
end
if is_attempt then count(to) end
if is_attempt and not is_undecided then
  local is_same = cause == cause_before or record[8] and to == 'conflict'
  leave_operation(operation, to == 'created' and 'recovered' or is_same and 'same' or 'again')
end
return { 'done', is_new_cause and 1 or 0, report(result, cause) }
