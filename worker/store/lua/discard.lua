-- include: finders, aliases, causes, earlier, lifecycle
-- Gives a contact up. The record stays, so that a repeated delivery is recognised, and it can still be retried.
--
-- allowed: list of string   the states in which this is allowed (actions.ACTIONS), unless the source has deleted the person
-- Returns {'discarded'}, or {'gone'} (no such record), or {'refused', state}: nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, 'cause', 'operation', 'deletes')
local state = record[1]
if not state then return { 'gone' } end
if not contains(args.allowed, state) or record[4] then return { 'refused', state } end

close_as_discarded(state, record[2])
leave_operation(record[3], 'left')
return { 'discarded' }
