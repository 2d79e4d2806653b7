-- include: upstream, finders, aliases, causes, lifecycle
-- Ends an attempt that created a contact while nothing was unusual. Most attempts are such: they take the shortest way.
--
-- token, fingerprint: string   of the claim
-- contact_id: string           in LiveDesk
-- contact_finder: string       the finder of the contact id
-- attempt: string              one line of JSON
-- notes: string or nil         JSON
-- inbox: string                the contact's
-- policy: map                  see upstream
-- Returns 1; or 0, and has changed nothing: finish.lua must decide.

local INBOX_FAILING = PREFIX .. 'inbox_failing'
-- What makes it unusual that a contact is created.
local OTHERS = { 'cause', 'operation', 'resolution', 'contact_id', 'deletes' }

local record = redis.call('HMGET', RECORD, 'state', 'token', 'fingerprint', 'finders', unpack(OTHERS))
if record[1] ~= 'sending' or record[2] ~= args.token or record[3] ~= args.fingerprint then return 0 end
for i = 1, #OTHERS do
  if record[4 + i] then return 0 end
end
local up = redis.call('HMGET', UPSTREAM, 'stop', 'pace')
if up[1] or redis.call('EXISTS', INBOXES) == 1 then return 0 end

redis.call('ZREM', index('sending'), key)
redis.call('ZADD', index('created'), now, key)
shrink('created', args.attempt, args.notes, record[4])
reach(args.contact_id, args.contact_finder, 'created')
count('created')

-- As breaker.report does for a contact that LiveDesk has created.
count('ok')
redis.call('HSET', UPSTREAM, 'answered_at', now, 'created_at', now, 'created_inbox', args.inbox)
redis.call('HDEL', INBOX_FAILING, args.inbox .. ':since', args.inbox .. ':many', args.inbox .. ':last')
redis.call('DEL', FAILING, PREFIX .. 'refused')
if up[2] then raise_pace() end
return 1
