-- include: upstream, breaker
-- Takes in what LiveDesk answered to a question that is about no contact: before the sync stops, one of the workers asks.
-- An answer means that what failed is about those contacts alone.
--
-- policy: map         see upstream
-- signal: string      a model.Signal
-- cause: string or nil
-- status: int or nil
-- hold_ms: int        after a 429
-- Returns what changed for all contacts: '', 'down', 'misconfigured', 'hold' or 'resumed'.

redis.call('HDEL', UPSTREAM, 'asking_until')
local stopped = redis.call('HGET', UPSTREAM, 'stop')
if args.signal == 'throttled' then return hold_for(args.hold_ms, args.cause, args.status) end
if args.signal == 'error' or args.signal == 'misconfigured' then
  local kind = args.signal == 'error' and 'down' or 'misconfigured'
  return stopped == kind and '' or stop(kind, args.cause, args.status)
end
redis.call('HSET', UPSTREAM, 'asked_at', now)
redis.call('DEL', FAILING)
if stopped == 'down' or stopped == 'misconfigured' then return resume() end
return ''
