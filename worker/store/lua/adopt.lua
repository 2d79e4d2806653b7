-- include: finders, aliases, causes, lifecycle
-- Makes a contact created by adopting a contact that LiveDesk has. LiveDesk is not contacted, and its contact keeps its
-- data. It counts as an attempt, so that the record shows who did it.
--
-- contact_id: string        in LiveDesk
-- contact_finder: string    the finder of the contact id
-- note: string              a note to add, as JSON
-- trigger: string           who requested it, as JSON
-- allowed: list of string   the states in which this is allowed (model.ACTIONS)
-- Returns {'adopted'}, or {'gone'} (no such record), or {'refused', state}: nothing was done.

local record = redis.call('HMGET', RECORD, 'state', 'cause', 'operation', 'finders', 'notes')
local state, notes = record[1], record[5]
if not state then return { 'gone' } end
if not contains(args.allowed, state) then return { 'refused', state } end

enter('created', state)
forget_cause(record[2])
redis.call('HINCRBY', RECORD, 'attempts_made', 1)
local attempt = string.format('[%.0f,0,null,null,"",%s]', now, args.trigger)
notes = notes and string.sub(notes, 1, -2) .. ',' .. args.note .. ']' or '[' .. args.note .. ']'
shrink(args.contact_id, 'adopted', attempt, notes, args.contact_finder, record[4])
count('created')
leave_operation(record[3], 'recovered')
return { 'adopted' }
