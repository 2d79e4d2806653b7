-- include: clashes
-- Removes an entry of the quarantine.
--
-- entry: string     the entry's id
-- after_ms: int     how long it must have been there
-- Returns 1, or 0 when there is none, or none that old.

local ENTRIES, ENTRY = PREFIX .. 'quarantine', PREFIX .. 'q:' .. args.entry
local since = redis.call('ZSCORE', ENTRIES, args.entry)
if not since or tonumber(since) > now - args.after_ms then return 0 end
redis.call('ZREM', ENTRIES, args.entry)
leave_clash(ENTRY)
redis.call('DEL', ENTRY)
return 1
