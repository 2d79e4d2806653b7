-- include: upstream, earlier, claim_new, common, breaker
-- Gives the caller the lease on a contact, if it may be worked on now, and reserves a time for its request to LiveDesk.
-- Safe to run twice: the token is the caller's.
--
-- token: string
-- lease_ms: int
-- policy: map            see upstream
-- sends: bool            whether LiveDesk will be contacted: then pace, pause and probes apply
-- Returns {'claimed', now, lease_until, ms to wait before the first request, ms from that to the next, when LiveDesk last did
-- this for another contact, 1 if the inbox is held and this is its probe else 0, salt, field, value, ...} with the record;
-- or {reason}: 'gone' (no such record), 'closed', 'busy' (another worker's lease),
-- 'early' (its next attempt is later), 'paused' (by an operator), 'stopped' (LiveDesk is down or we are misconfigured),
-- 'held' (its inbox is), 'paced' (no room now). After the last four it waits in `due`.

local state, token, lease_until = record[FIELD.state], record.token, tonumber(record.lease_until or 0)
if not state then return { 'gone' } end
if not is_open(state) then return { 'closed' } end

local is_create = not record[FIELD.contact_id] and not record.deletes
local wait, apart = 0, 0
local inbox = string.match(record.data or '', '^{"inbox_id":(%d+)') or policy.inbox_id

-- Whether the contact's inbox is held. The first contact that is claimed when a probe is due becomes that probe.
local function is_held()
  local probe_at = redis.call('HGET', INBOXES, inbox .. ':probe_at')
  if not probe_at then return false end
  if now < tonumber(probe_at) then return true end
  redis.call('HSET', INBOXES, inbox .. ':probe_at', now + args.lease_ms)
  return false
end

-- Returns why nothing may be sent for this contact now, and where in `due` it waits; or nil.
local function refusal()
  local up = redis.call('HMGET', UPSTREAM, 'paused_at', 'stop')
  local lane = lane_of(state, record.operation)
  if up[1] then return 'paused', lane, now end
  if up[2] and probe_room() < 1 then return 'stopped', lane, now end
  if is_create and is_held() then return 'held', HELD, now end
  -- After an unknown answer, and where another contact had a value, a look-up comes first (model.Claim.looks_first).
  local is_taken = is_create and string.find(record.cause or '', '_taken$') and record.resolution ~= 'without'
  local looks_first = not record[FIELD.contact_id] and (record.unknown_since or state == 'sending') or is_taken
  wait, apart = reserve(looks_first and 2 or 1, looks_first and 1 or 0)
  if not wait then return 'paced', lane, apart end
  if up[2] then begin_probe(args.token, args.lease_ms) end
end

write_even_when_full()
if token ~= args.token then
  if state == 'sending' and lease_until > now then return { 'busy' } end
  if state == 'retrying' and tonumber(record.next_attempt_at or 0) > now then return { 'early' } end
  if args.sends then
    local reason, lane, when = refusal()
    if reason then
      due_at(lane, when)
      return { reason }
    end
  end

  enter('sending', state)
  if record.anew then begin_anew(record.operation) end
  if state == 'sending' then
    -- Its worker died or was cut off. Nobody knows what it sent; a change may be sent again.
    if not record[FIELD.contact_id] then redis.call('HSET', RECORD, 'unknown_since', lease_until) end
    redis.call('HINCRBY', RECORD, 'crashes', 1)
  end
  lease_until = now + args.lease_ms
  redis.call('HSET', RECORD, 'token', args.token, 'lease_until', lease_until)
  redis.call('HINCRBY', RECORD, 'attempts_made', 1)
  redis.call('HDEL', RECORD, 'next_attempt_at', 'look_up_at')
  due_at(record.ahead and OPERATOR or RETRY, lease_until)
end

fields = redis.call('HGETALL', RECORD)
local done_at = redis.call('HGET', UPSTREAM, is_create and 'created_at' or 'answered_at') or 0
local is_inbox_probe = is_create and is_inbox_held(inbox) and 1 or 0
return { 'claimed', now, lease_until, wait, apart, done_at, is_inbox_probe, redis.call('GET', SALT), unpack(fields) }
