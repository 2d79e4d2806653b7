-- One chunk of an operation: each contact that still is as the filter wants it is made due in the lane of bulk work, or
-- discarded; what it was before is kept, so that the operation can be undone.
--
-- KEYS   [1] the beginning of all records   [22] what its contacts were before
-- ARGV   [3] the operation's id   [4] runner's token   [5] length of the runner's lease in ms   [6] 'retry' or 'discard'
--        [7] states that may be moved, with a comma behind each   [8] cause ('' for any)   [9] source ('' for any)
--        [10] attempts at least   [11] cursor after this chunk   [12] ms that what was is kept   [13..] keys
-- Returns {1, moved, skipped}, or {0} when another worker runs the operation: nothing was done.

local SAVED, BEGINNING = KEYS[22], KEYS[1]
local name = OPERATION .. ARGV[3]

local running = redis.call('HMGET', name, 'state', 'runner')
if running[1] ~= 'running' or running[2] ~= ARGV[4] then return { 0 } end

write_even_when_full()

local function move(record)
  local state = record[1]
  local saved = {
    state = state, cause = record[2] or nil, next_attempt_at = record[6] or nil, closed_at = record[7] or nil,
    owner_id = record[8] or nil, failures = record[9] or nil, repeats = record[10] or nil, spent_ms = record[11] or nil,
    suspect = record[12] or nil, entered = redis.call('ZSCORE', INDEX[state], key),
  }
  if ARGV[6] == 'retry' then
    start_anew(state)
    due_at(BULK, now)
    redis.call('HSET', RECORD, 'trigger', 'operation ' .. ARGV[3])
  else
    close_as_discarded(state, record[2])
  end
  redis.call('HSET', RECORD, 'operation', ARGV[3])
  redis.call('HSET', SAVED, key, cjson.encode(saved))
end

local moved, skipped = 0, 0
for i = 13, #ARGV do
  key, RECORD = ARGV[i], BEGINNING .. ARGV[i]
  local record = redis.call('HMGET', RECORD, 'state', 'cause', 'source', 'attempts_made', 'operation', 'next_attempt_at',
    'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'suspect')
  local is_meant = record[1] and string.find(ARGV[7], record[1] .. ',', 1, true)
      and (ARGV[8] == '' or record[2] == ARGV[8]) and (ARGV[9] == '' or record[3] == ARGV[9])
      and tonumber(record[4] or 0) >= tonumber(ARGV[10]) and record[5] ~= ARGV[3]
  if is_meant then
    if record[5] then leave_operation(record[5], 'left') end
    move(record)
    moved = moved + 1
  else
    skipped = skipped + 1
  end
end
if moved > 0 then redis.call('PEXPIRE', SAVED, ARGV[12]) end
redis.call('HINCRBY', name, 'moved', moved)
redis.call('HINCRBY', name, 'skipped', skipped)
redis.call('HSET', name, 'cursor', ARGV[11], 'runner_until', now + ARGV[5])
return { 1, moved, skipped }
