-- What the scripts of operations share. operation: string (the operation's id) is among their arguments.

local OPERATIONS, ACTIVE = PREFIX .. 'operations', PREFIX .. 'operations:active'
local OPERATION = PREFIX .. 'op:' .. args.operation
local SAVED = OPERATION .. ':saved'

-- Whether this worker runs the operation, and its state is this one.
local function is_running(state)
  local running = redis.call('HMGET', OPERATION, 'state', 'runner')
  return running[1] == state and running[2] == args.token
end

-- Makes another contact the one that the functions of the other files work on.
local function switch_to(contact)
  key, RECORD = contact, PREFIX .. 'c:' .. contact
end
