-- include: finders, aliases, causes, earlier, lifecycle
-- Changes what is sent for a contact, and makes it due now with a fresh retry budget. An unknown answer stays unknown. The
-- source stays the one that the contact came from.
--
-- who: string or nil
-- data: string                JSON
-- fingerprint: string         of the data
-- notes: string or nil        JSON
-- finders: string or nil
-- before: string or nil       fingerprint of the data that the person saw; nil for any
-- allowed: list of string     the states in which this is allowed (actions.ACTIONS), unless it is about a change
-- Returns {'due', state}, or {'gone'} (no such record), {'refused', state}, or {'changed'} (a delivery has brought other
-- data since): nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, 'operation', 'finders', FIELD.fingerprint, FIELD.contact_id, 'deletes')
local state = record[1]
if not state then return { 'gone' } end
if not contains(args.allowed, state) or record[5] or record[6] then return { 'refused', state } end
-- After a first run the record has the fingerprint that this one writes.
if args.before and record[4] ~= args.fingerprint and record[4] ~= args.before then return { 'changed' } end

store_data(record[3])
local to = start_anew(state)
make_due_now(to, record[2], args.who)
return { 'due', to }
