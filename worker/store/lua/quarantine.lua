-- include: clashes
-- Keeps an authentic delivery that could not be mapped to a contact, or that clashes. The same delivery again is kept once.
--
-- entry: string                        the entry's id
-- source: string
-- payload, problems, headers: string   JSON
-- is_element: bool or nil              it is one element of a batch
-- clash: string or nil                 the other source whose person has the identifier
-- max_entries: int
-- Returns 1, or 0 when there is no room: nothing was kept.

local ENTRIES, ENTRY = PREFIX .. 'quarantine', PREFIX .. 'q:' .. args.entry
if not redis.call('ZSCORE', ENTRIES, args.entry) then
  if redis.call('ZCARD', ENTRIES) >= args.max_entries then return 0 end
  redis.call('ZADD', ENTRIES, now, args.entry)
end
if args.clash and redis.call('HGET', ENTRY, 'clash') ~= args.clash then
  leave_clash(ENTRY)
  redis.call('HINCRBY', CLASHES, args.source .. ' ' .. args.clash, 1)
  redis.call('HSET', ENTRY, 'clash', args.clash)
  count('clash:' .. args.source .. ':' .. args.clash)
end
redis.call('HSET', ENTRY, 'source', args.source, 'payload', args.payload, 'problems', args.problems,
  'headers', args.headers)
if args.is_element then redis.call('HSET', ENTRY, 'is_element', '1') end
return 1
