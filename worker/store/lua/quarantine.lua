-- Keeps an authentic delivery that could not be mapped to a contact. The same delivery again is kept once.
--
-- entry: string                        the entry's id
-- source: string
-- payload, problems, headers: string   JSON
-- max_entries: int
-- Returns 1, or 0 when there is no room: nothing was kept.

local ENTRIES = PREFIX .. 'quarantine'
if not redis.call('ZSCORE', ENTRIES, args.entry) then
  if redis.call('ZCARD', ENTRIES) >= args.max_entries then return 0 end
  redis.call('ZADD', ENTRIES, now, args.entry)
end
redis.call('HSET', PREFIX .. 'q:' .. args.entry, 'source', args.source, 'payload', args.payload,
  'problems', args.problems, 'headers', args.headers)
return 1
