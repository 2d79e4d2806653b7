-- include: clashes
-- Keeps an authentic delivery that could not be mapped to a contact, or that clashes. The same delivery again is kept once.
--
-- entry: string                        the entry's id
-- source: string
-- payload, problems, headers: string   JSON
-- is_element: bool or nil              it is one element of a batch
-- clash: string or nil                 the other source whose person has the identifier
-- max_entries: int                     clashes of one pair of sources, and deliveries that do not clash
-- Returns 1, or 0 when there is no room: nothing was kept.

local ENTRIES, ENTRY = PREFIX .. 'quarantine', PREFIX .. 'q:' .. args.entry
-- The clashes of two sources leave room for the deliveries of the others.
local function has_room()
  if args.clash then
    return tonumber(redis.call('HGET', CLASHES, args.source .. ' ' .. args.clash) or 0) < args.max_entries
  end
  local others = redis.call('ZCARD', ENTRIES)
  for _, waiting in ipairs(redis.call('HVALS', CLASHES)) do others = others - waiting end
  return others < args.max_entries
end

if not redis.call('ZSCORE', ENTRIES, args.entry) then
  if not has_room() then return 0 end
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
