-- include: finders, aliases, causes, lifecycle
-- Makes a conflict due now: the next attempt gives our identifier to the contact in LiveDesk that it conflicts with.
--
-- who: string or nil
-- owner_id: string          the contact in LiveDesk, as the person saw it
-- allowed: list of string   the states in which this is allowed (actions.ACTIONS)
-- Returns {'due', state}, or {'gone'} (no such record), {'refused', state}, or {'changed'} (it conflicts with another
-- contact now): nothing was done.

local record = redis.call('HMGET', RECORD, 'state', 'operation', 'owner_id')
local state = record[1]
if not state then return { 'gone' } end
if not contains(args.allowed, state) then return { 'refused', state } end
if record[3] ~= args.owner_id then return { 'changed' } end

resolve(state, 'adopt', args.owner_id)
make_due_now('retrying', record[2], args.who)
return { 'due', 'retrying' }
