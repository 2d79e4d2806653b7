-- include: finders, aliases, causes, lifecycle
-- Removes one created contact that has expired.
--
-- keep_ms: int
-- contact_id, contact_finder: string or nil   the contact's id in LiveDesk as the caller knows it, and its finder; nil if
--                                             the record is gone, and only its entry in the index is left
-- Returns 1, or 0 when the contact is not created, not old enough, or has another contact id: nothing was done.

local created_at = redis.call('ZSCORE', index('created'), key)
if not created_at or tonumber(created_at) > now - args.keep_ms then return 0 end
if (redis.call('HGET', RECORD, 'contact_id') or nil) ~= args.contact_id then return 0 end
redis.call('ZREM', index('created'), key)
if args.contact_id then unlink(args.contact_id, args.contact_finder) end
forget_copy()
redis.call('DEL', RECORD)
return 1
