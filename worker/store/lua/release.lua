-- include: clashes, shares
-- Removes an entry of the quarantine.
--
-- entry: string     the entry's id
-- after_ms: int     how long it must have been there
-- Returns 1, or 0 when there is none, or none that old.

local since = redis.call('ZSCORE', ENTRIES, args.entry)
if not since or tonumber(since) > now - args.after_ms then return 0 end
remove_entry(args.entry)
return 1
