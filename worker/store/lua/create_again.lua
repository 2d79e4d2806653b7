-- include: finders, aliases, causes, earlier, lifecycle
-- Makes a contact pending again that was deleted in LiveDesk while a change of it was to be sent.
--
-- who: string or nil
-- contact_id: string       under which LiveDesk no longer has it
-- contact_finder: string   the finder of that id
-- cause: string            that the conflict must have
-- Returns {'due', state}, or {'gone'} (no such record), {'refused', state}, or {'changed'} (the conflict has another cause or
-- is about another contact): nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, 'operation', FIELD.contact_id, 'cause')
local state = record[1]
if not state then return { 'gone' } end
if state ~= 'conflict' then return { 'refused', state } end
if record[4] ~= args.cause or record[3] ~= args.contact_id then return { 'changed' } end

start_anew(state)
unlink(args.contact_id, args.contact_finder)
redis.call('HDEL', RECORD, FIELD.contact_id, 'outcome', 'sent', 'opened_at')
forget_cause(args.cause)
make_due_now('retrying', record[2], args.who)
return { 'due', 'retrying' }
