-- include: finders, aliases, causes, earlier, lifecycle
-- Makes a conflict due now, with what a person decided about it (model.Resolution): the next attempt gives our identifier to
-- the contact in LiveDesk that it conflicts with, or leaves out the value that this contact has.
--
-- who: string or nil
-- resolution: string        'adopt' or 'without'
-- owner_id: string or nil   the contact in LiveDesk, as the person saw it
-- allowed: list of string   the states in which this is allowed (actions.ACTIONS); a change adopts nobody
-- Returns {'due', state}, or {'gone'} (no such record), {'refused', state}, or {'changed'} (it conflicts with another
-- contact now): nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, 'operation', 'owner_id', FIELD.contact_id)
local state = record[1]
if not state then return { 'gone' } end
if not contains(args.allowed, state) or args.resolution == 'adopt' and record[4] then return { 'refused', state } end
if (record[3] or nil) ~= args.owner_id then return { 'changed' } end

resolve(state, args.resolution, args.owner_id)
make_due_now('retrying', record[2], args.who)
return { 'due', 'retrying' }
