-- include: operation
-- Changes the state of an operation, if its present state allows that.
--
-- state: string             the new state
-- is_active: bool           whether that is a state in which workers or people still act on it
-- sources: list of string   the states that it may be in (actions.TRANSITIONS)
-- note: string or nil
-- Returns 1, or 0 when it is in another state, or gone.

if not contains(args.sources, redis.call('HGET', OPERATION, 'state')) then return 0 end
write_even_when_full()
redis.call('HSET', OPERATION, 'state', args.state)
redis.call('HDEL', OPERATION, 'runner', 'runner_until')
if args.note then redis.call('HSET', OPERATION, 'note', args.note) end
if args.is_active then
  redis.call('SADD', ACTIVE, args.operation)
else
  redis.call('SREM', ACTIVE, args.operation)
  redis.call('HSET', OPERATION, 'ended_at', now)
end
return 1
