-- A person gives a contact up. It stays, so that a repeated delivery is known for one, and a person may still retry it.
--
-- Returns {'discarded'} or {reason}: 'gone' (no such record), 'busy' (an attempt is running), 'created' (nothing to do).

local record = redis.call('HMGET', RECORD, 'state', 'cause', 'operation')
local state = record[1]
if not state then return { 'gone' } end
if state == 'sending' then return { 'busy' } end
if state == 'created' or state == 'discarded' then return { state } end

close_as_discarded(state, record[2])
leave_operation(record[3], 'left')
return { 'discarded' }
