-- include: finders, aliases, causes, earlier, lifecycle
-- Makes a created contact that LiveDesk no longer has pending again, with the little data that is left.
--
-- contact_id: string       under which LiveDesk no longer has it
-- contact_finder: string   the finder of that id
-- data: string             JSON
-- fingerprint: string      of the data
-- notes: string            JSON
-- finders: string or nil
-- allowed: list of string  the states in which this is allowed (actions.ACTIONS)
-- Returns 1, or 0 when the contact is not created under this id (any more): nothing was done.

local record = redis.call('HMGET', RECORD, FIELD.state, FIELD.contact_id, 'attempts_made')
if not contains(args.allowed, record[1]) or record[2] ~= args.contact_id then return 0 end

local created_at = redis.call('ZSCORE', index('created'), key)
enter('pending', 'created')
unlink(args.contact_id, args.contact_finder)
forget_copy()
redis.call('HDEL', RECORD, FIELD.contact_id, 'outcome', 'newer', 'newer_at')
-- A create was sent long ago, and its result is no longer known: it is looked up before another is sent.
redis.call('HSET', RECORD, 'unknown_since', created_at, 'attempts_made', record[3] or 1)
store_data()
due_at(BULK, now)
return 1
