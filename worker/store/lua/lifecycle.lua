-- Steps in the life of a contact that several scripts take. Needs: finders, aliases, causes, earlier.

-- The fingerprint of a contact without data.
local ABSENT = string.rep('-', 20)
-- The fields that belong to earlier attempts, and not to the next one with a fresh retry budget.
local SPENT = { 'next_attempt_at', 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'crashes', 'suspect',
  'resolution', 'ahead', 'anew' }
-- How many contacts may be due in the lane OPERATOR; what a script requests beyond that waits with the others.
local MOST_AHEAD = 100

if RECORD then rename_fields() end

-- Stores what is sent for the contact (args.data, fingerprint, notes, finders); `before` are its previous finders. What an
-- operator decided about a conflict is void once the e-mail address or the phone number is another one.
local function store_data(before)
  if before and string.gsub(before, ' ', '') ~= args.finders then redis.call('HDEL', RECORD, 'resolution') end
  redis.call('HSET', RECORD, 'data', args.data, FIELD.fingerprint, args.fingerprint)
  if before then remove_finders(before) end
  add_finders(args.finders)
  set('finders', args.finders)
  set('notes', args.notes)
end

-- Makes another attempt possible at once, with a fresh retry budget. Returns the new state: a contact that was never
-- tried stays pending. An unknown answer to an earlier create (unknown_since) stays unknown, and what an operator decided
-- about a conflict stays decided.
local function start_anew(state)
  local to = state == 'pending' and 'pending' or 'retrying'
  local decided = redis.call('HMGET', RECORD, 'resolution', 'owner_id')
  redis.call('HDEL', RECORD, unpack(SPENT))
  if decided[1] then
    redis.call('HSET', RECORD, 'resolution', decided[1])
    set('owner_id', decided[2])
  end
  if to ~= state then enter(to, state) end
  return to
end

-- Makes a conflict due, with what an operator decided about it (model.Resolution). The next attempt adopts the contact that
-- conflicts with it now, and no other.
local function resolve(state, resolution, owner_id)
  start_anew(state)
  redis.call('HSET', RECORD, 'resolution', resolution)
  if resolution == 'adopt' then redis.call('HSET', RECORD, 'owner_id', owner_id) end
end

local function close_as_discarded(state, cause)
  redis.call('ZREM', DUE, key)
  enter('discarded', state)
  forget_cause(cause)
  redis.call('HDEL', RECORD, 'next_attempt_at', 'trigger', 'resolution', 'ahead', 'anew')
  redis.call('HSET', RECORD, 'closed_at', now)
end

-- Ends the contact's part in an operation, which counts how it ended. Undoing the operation then leaves the contact alone.
local function leave_operation(operation, how)
  if not operation then return end
  redis.call('HDEL', RECORD, 'operation')
  local name = PREFIX .. 'op:' .. operation
  redis.call('HDEL', name .. ':saved', key)
  if redis.call('EXISTS', name) == 1 then redis.call('HINCRBY', name, how, 1) end
end

-- Lets the contact wait in the lane OPERATOR until its next attempt has ended: somebody waits for the result.
local function go_ahead()
  local first = OPERATOR * LANE
  local ahead = redis.call('ZCOUNT', DUE, string.format('%.0f', first), string.format('%.0f', first + now))
  if ahead < MOST_AHEAD then redis.call('HSET', RECORD, 'ahead', 1) end
end

-- Makes the contact due now because a person requested it, outside any operation.
local function make_due_now(state, operation, who)
  if who then redis.call('HSET', RECORD, 'trigger', who) end
  leave_operation(operation, 'left')
  go_ahead()
  due_at(lane_of(state), now)
end

-- Shrinks the record of a contact that is settled (created or deleted) to what idempotency needs. The personal data goes,
-- and so does what the last attempt says (when it was closed) and what is the usual case (outcome 'created', one attempt).
local function shrink(state, attempt, notes, finders)
  local kept = { FIELD.state, state, FIELD.attempts, attempt }
  local stays = { FIELD.identifier, 'source', FIELD.received_at, FIELD.fingerprint, 'attempts_made', 'identity', 'id_space',
    'event_at', 'senders' }
  local values = redis.call('HMGET', RECORD, unpack(stays))
  for i, field in ipairs(stays) do
    if values[i] and not (field == 'attempts_made' and values[i] == '1') then
      kept[#kept + 1] = field
      kept[#kept + 1] = values[i]
    end
  end
  redis.call('ZREM', DUE, key)
  if finders then remove_finders(finders) end
  redis.call('DEL', RECORD)
  redis.call('HSET', RECORD, unpack(kept))
  if notes then redis.call('HSET', RECORD, 'notes', notes) end
end

-- Records the contact in LiveDesk, and how it got there.
local function reach(contact_id, contact_finder, outcome)
  redis.call('HSET', RECORD, FIELD.contact_id, contact_id)
  set('outcome', outcome ~= 'created' and outcome)
  link(contact_id, contact_finder, outcome)
end

-- Makes a conflict `known`: the contact with this id in LiveDesk is the same person, and stays as it is. It counts as an
-- attempt, so that the record shows who decided it. `note` and `trigger` are JSON.
local function close_as_known(state, contact_id, contact_finder, note, trigger)
  local record = redis.call('HMGET', RECORD, 'cause', 'finders', 'notes')
  enter('created', state)
  forget_cause(record[1])
  redis.call('HINCRBY', RECORD, 'attempts_made', 1)
  local attempt = string.format('[%.0f,0,null,null,"",%s]', now, trigger)
  local notes = record[3] and string.sub(record[3], 1, -2) .. ',' .. note .. ']' or '[' .. note .. ']'
  shrink('created', attempt, notes, record[2])
  reach(contact_id, contact_finder, 'known')
  count('created')
end
