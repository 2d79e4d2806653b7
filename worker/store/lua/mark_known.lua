-- include: finders, aliases, causes, earlier, lifecycle
-- Resolves a conflict: a contact in LiveDesk is the same person, and stays as it is. LiveDesk is not contacted.
--
-- contact_id: string        in LiveDesk
-- contact_finder: string    the finder of the contact id
-- note: string              a note to add, as JSON
-- trigger: string           who requested it, as JSON
-- allowed: list of string   the states in which this is allowed (actions.ACTIONS), unless it is about a change
-- Returns {'known'}, or {'gone'} (no such record), or {'refused', state}: nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, 'operation', FIELD.contact_id)
local state = record[1]
if not state then return { 'gone' } end
if not contains(args.allowed, state) or record[3] then return { 'refused', state } end

close_as_known(state, args.contact_id, args.contact_finder, args.note, args.trigger)
leave_operation(record[2], 'recovered')
return { 'known' }
