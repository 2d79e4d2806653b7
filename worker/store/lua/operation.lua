-- What the scripts of operations share. operation: string (the operation's id) is among their arguments.

local OPERATIONS, ACTIVE = PREFIX .. 'operations', PREFIX .. 'operations:active'
local OPERATION = PREFIX .. 'op:' .. args.operation
local SAVED = OPERATION .. ':saved'
-- The fields that undoing an operation writes back, in addition to the state and when the contact entered it.
local RESTORED = { 'cause', 'next_attempt_at', 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'crashes',
  'suspect', 'resolution', 'ahead', 'anew' }
-- With those that show whether somebody has changed the contact since.
local SAVED_FIELDS = { FIELD.fingerprint, 'unknown_since', unpack(RESTORED) }

-- Whether this worker runs the operation, and its state is this one.
local function is_running(state)
  local running = redis.call('HMGET', OPERATION, 'state', 'runner')
  return running[1] == state and running[2] == args.token
end

-- Makes another contact the one that the functions of the other files work on.
local function switch_to(contact)
  key, RECORD = contact, PREFIX .. 'c:' .. contact
end
