-- include: upstream, breaker, finders, aliases, causes, earlier, lifecycle
-- Ends an attempt: state, attempt, cause, counters, due and lease change together, and only if the lease is still ours.
-- What the attempt reports about LiveDesk moves the pace and the circuit breaker for all workers.
--
-- token, fingerprint: string      of the claim; the fingerprint is that of the data that was sent
-- deletes: string or nil          of the claim
-- result: map                     a model.AttemptResult
-- attempt: string                 one line of JSON
-- notes: string or nil            JSON
-- contact_finder: string or nil   the finder of the contact id
-- old_finder: string or nil       the finder of the contact id of the claim
-- changed: string                 the fields that a change sent, with spaces between
-- marked: string                  see merge.MARKED
-- inbox: string                   the contact's
-- lease_ms: int                   how long a worker may take to ask LiveDesk something
-- policy: map                     see upstream
-- attempts_kept: int              in addition to the first one
-- cause_fresh_ms, max_causes: int   see causes
-- decisions_kept, changes_kept: int   in the logs of what was decided without an operator, and of changes
-- Returns {'done', 1 if the cause is new else 0, what breaker.report says changed for all
-- contacts}; or {'stale'}: the lease was lost and nothing changed, but the contact id that a late success learned is kept
-- for the next look-up, and of a person who was deleted meanwhile, that contact is due to be marked.

local record = redis.call('HMGET', RECORD, FIELD.state, 'token', FIELD.attempts, FIELD.fingerprint, 'cause', 'operation', 'finders',
  'resolution', FIELD.contact_id, 'deletes', 'on_change', 'outcome')
local change, waits_for
local from, fingerprint, cause_before, operation = record[1], record[4], record[5], record[6]
local contact_id, deletes = record[9], record[10] or nil
local result = args.result
local to, cause = result.state, result.cause
local is_attempt = result.signal ~= 'postponed'
-- What an operator decided about a conflict stays until LiveDesk has answered it.
local is_undecided = record[8] and to == 'retrying'

-- The source has deleted the person, and no search showed the contact that a late success has made: it is to be marked.
local function bury_late()
  redis.call('HSET', RECORD, 'deletes', 'mark', 'opened_at', now)
  enter('pending', 'deleted')
  due_at(DELETION, now)
end

if from ~= 'sending' or record[2] ~= args.token then
  -- A contact that is only known has another identifier: the next attempt decides anew.
  if result.contact_id and from and not contact_id and result.outcome ~= 'known' then
    redis.call('HSET', RECORD, 'late_id', result.contact_id)
    if from == 'deleted' then bury_late() end
  end
  return { 'stale' }
end

-- Newer data arrived meanwhile, which a final answer to the older data does not settle: it gets an attempt of its own.
local is_newer = fingerprint ~= args.fingerprint or deletes ~= args.deletes
if is_newer and (to == 'failed' or to == 'conflict') then to = 'retrying' end
-- LiveDesk has the contact, but not yet all that it should have.
local has = result.sent or args.fingerprint
local reopens = to == 'created' and (deletes or has ~= fingerprint and (result.sent or not record[11]))
-- The person came back before LiveDesk knew about the deletion.
local returns = to == 'deleted' and redis.call('HEXISTS', RECORD, 'data') == 1

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
  if is_attempt and not is_undecided then redis.call('HDEL', RECORD, 'ahead') end
  if not is_newer then set('notes', args.notes) end
  if not is_undecided then
    redis.call('HDEL', RECORD, 'resolution')
    set('owner_id', result.owner_id)
  end
  if result.unanswered == 'now' then redis.call('HSET', RECORD, 'unknown_since', now) end
  -- The worker outlived LiveDesk's answer, or its silence: this contact is not what kills workers.
  if result.unanswered ~= 'keep' then redis.call('HDEL', RECORD, 'crashes') end
  if result.unanswered == 'clear' then redis.call('HDEL', RECORD, 'unknown_since') end
  redis.call('HSET', RECORD, FIELD.attempts, with_attempt(record[3]), 'repeats', result.repeats, 'spent_ms', result.spent_ms)
  -- What is not about this contact delays it only as long as it delays all.
  local delay = waits_for and 0 or result.delay_ms
  if not waits_for then redis.call('HSET', RECORD, 'failures', result.failures) end
  set('suspect', result.suspect > 0 and result.suspect)
  if to == 'retrying' then
    redis.call('HSET', RECORD, 'next_attempt_at', now + delay)
    due_at(waits_for == 'inbox' and HELD or lane_of(to), now + delay)
  else
    redis.call('HSET', RECORD, 'closed_at', now)
    redis.call('ZREM', DUE, key)
  end
end

-- Records which contact in LiveDesk it is; it may be another one than before.
local function link_contact()
  if contact_id and contact_id ~= result.contact_id then unlink(contact_id, args.old_finder) end
  reach(result.contact_id, args.contact_finder, result.outcome == 'updated' and (record[12] or 'created') or result.outcome)
end

-- The record waits again, as one that was never tried: for what LiveDesk does not have yet.
local function start_again(lane)
  redis.call('HDEL', RECORD, 'token', 'lease_until', 'trigger', 'unknown_since', 'late_id', 'attempts_made', unpack(SPENT))
  redis.call('HSET', RECORD, 'opened_at', now, FIELD.attempts, with_attempt(record[3]))
  due_at(lane, now)
end

local function settle_created()
  if reopens then
    if not is_newer then set('notes', args.notes) end
    start_again(deletes and DELETION or CHANGE)
    set('sent', not deletes and has)
    link_contact()
    return
  end
  shrink('created', args.attempt, args.notes, record[7])
  link_contact()
  if is_newer then redis.call('HSET', RECORD, FIELD.fingerprint, args.fingerprint, 'newer', fingerprint, 'newer_at', now) end
end

local function settle_deleted()
  local is_marked = result.outcome == 'marked'
  if contact_id and not (is_marked and contact_id == result.contact_id) then unlink(contact_id, args.old_finder) end
  if returns then
    redis.call('HDEL', RECORD, 'deletes', FIELD.contact_id, 'outcome')
    start_again(is_marked and CHANGE or NEW)
    local sent = redis.call('HGET', RECORD, 'sent')
    local knows_mark = sent and string.find(sent, 'account_deleted_at', 1, true)
    if not (is_marked and knows_mark) then set('sent', is_marked and args.marked) end
  else
    shrink('deleted', args.attempt, args.notes, record[7])
    set('outcome', result.outcome)
  end
  if result.unanswered == 'now' then redis.call('HSET', RECORD, 'unknown_since', now) end
  if is_marked then
    redis.call('HSET', RECORD, FIELD.contact_id, result.contact_id)
    link(result.contact_id, args.contact_finder, 'marked')
  end
end

-- Logs what LiveDesk knows now of what happened after the signup.
local function log_change()
  local outcome = result.outcome
  local is_update = outcome == 'updated' and args.changed ~= ''
  if not is_update and outcome ~= 'marked' and outcome ~= 'deleted' then return end
  local event = redis.call('HMGET', RECORD, 'event', 'event_at', 'source', 'opened_at')
  count(outcome)
  redis.call('XADD', PREFIX .. 'changes', 'MAXLEN', '~', args.changes_kept, '*', 'at', now, 'key', key, 'did', outcome,
    'event', event[1] or '', 'event_at', event[2] or '', 'source', event[3], 'arrived_at', event[4] or now, 'fields',
    args.changed, 'contact_id', result.contact_id or contact_id or '')
end

local function log_decision()
  count('decision:' .. result.decided.choice)
  redis.call('XADD', PREFIX .. 'decisions', 'MAXLEN', '~', args.decisions_kept, '*', 'did', result.decided.did,
    'target', key, 'why', result.decided.why)
end

change, waits_for = report(result, cause, not contact_id and not deletes)
local is_new_cause = false
enter((reopens or returns) and 'pending' or to, from)
if cause_before and cause_before ~= cause then forget_cause(cause_before) end
if to == 'created' or to == 'deleted' then
  log_change()
  if to == 'created' then settle_created() else settle_deleted() end
  if result.decided then log_decision() end
else
  if cause and (cause_before ~= cause or is_attempt) then
    is_new_cause, cause = note_cause(cause, args.cause_fresh_ms, args.max_causes)
  end
  end_lease()
end
-- What happens after the signup is counted by its outcome (log_change).
if is_attempt and to ~= 'deleted' and not (to == 'created' and contact_id) then count(to) end
if is_attempt and not is_undecided then
  local is_same = cause == cause_before or record[8] and to == 'conflict'
  local is_settled = to == 'created' or to == 'deleted'
  leave_operation(operation, is_settled and 'recovered' or is_same and 'same' or 'again')
end
return { 'done', is_new_cause and 1 or 0, change }
