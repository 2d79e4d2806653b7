-- Stores a session of the dashboard until it ends, and forgets those that have ended.
--
-- session: string     its id
-- replaces: string or nil   the id of the session that the same browser had, which ends
-- lasts_ms: int
-- Returns how many sessions there are.

local SESSIONS = PREFIX .. 'sessions'

write_even_when_full()
redis.call('ZREMRANGEBYSCORE', SESSIONS, '-inf', now)
if args.replaces then redis.call('ZREM', SESSIONS, args.replaces) end
redis.call('ZADD', SESSIONS, now + args.lasts_ms, args.session)
return redis.call('ZCARD', SESSIONS)
