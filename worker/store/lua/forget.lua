-- include: finders, aliases, causes, earlier, lifecycle
-- Removes one settled contact that has expired.
--
-- state: string   created or deleted
-- keep_ms: int
-- contact_id, contact_finder: string or nil   the contact's id in LiveDesk as the caller knows it, and its finder; nil if
--                                             the record is gone, and only its entry in the index is left
-- Returns 1, or 0 when the contact is not in this state, not old enough, or has another contact id: nothing was done.

local settled_at = redis.call('ZSCORE', index(args.state), key)
if not settled_at or tonumber(settled_at) > now - args.keep_ms then return 0 end
if (redis.call('HGET', RECORD, FIELD.contact_id) or nil) ~= args.contact_id then return 0 end
redis.call('ZREM', index(args.state), key)
if args.contact_id then unlink(args.contact_id, args.contact_finder) end
forget_copy()
redis.call('DEL', RECORD)
return 1
