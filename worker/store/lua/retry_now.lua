-- A person asks for another attempt at once. It starts with a fresh retry budget; an answer that is unknown stays so.
--
-- ARGV   [3] who asks ('' for nobody named)
-- Returns {'due', state} or {reason}: 'gone' (no such record), 'busy' (an attempt is running), 'created' (nothing to do).

local record = redis.call('HMGET', RECORD, 'state', 'operation')
local state = record[1]
if not state then return { 'gone' } end
if state == 'sending' then return { 'busy' } end
if state == 'created' then return { 'created' } end

local to = start_anew(state)
if ARGV[3] ~= '' then redis.call('HSET', RECORD, 'trigger', ARGV[3]) end
leave_operation(record[2], 'left')
due_at(to == 'pending' and NEW or RETRY, now)
return { 'due', to }
