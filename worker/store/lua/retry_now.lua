-- include: finders, aliases, causes, earlier, lifecycle
-- Makes a contact due now, with a fresh retry budget. An unknown answer stays unknown.
--
-- who: string or nil
-- allowed: list of string   the states in which this is allowed (actions.ACTIONS)
-- Returns {'due', state}, or {'gone'} (no such record), or {'refused', state}: nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, 'operation')
local state = record[1]
if not state then return { 'gone' } end
if not contains(args.allowed, state) then return { 'refused', state } end

local to = start_anew(state)
make_due_now(to, record[2], args.who)
return { 'due', to }
