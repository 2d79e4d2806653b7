-- include: clashes, shares
-- Keeps an authentic delivery that could not be mapped to a contact, or that clashes. The same delivery again is kept once.
--
-- entry: string                 the entry's id
-- source: string
-- packed: string                the payload, compressed, in base64
-- problems, headers: string     JSON
-- is_element: bool or nil       it is one element of a batch
-- clash: string or nil          the other source whose person has the identifier
-- share: string                 the share that the entry belongs to (see shares)
-- size: int                     its size in bytes
-- max_entries, max_bytes: int   what a share may have
-- max_total: int                what all shares may have, in bytes
-- max_evicted: int              entries that one call evicts at most
-- Returns 1; 0 when there is no room: nothing was kept; or -1 when it must be called again, because it has evicted as
-- many entries as one call may.

local SHARE, ENTRY = share_key(args.share), entry_key(args.entry)

local function kept_bytes()
  local total = 0
  for _, bytes in ipairs(redis.call('HVALS', SHARES)) do total = total + bytes end
  return total
end

-- Returns the largest share without clashes: its oldest entries make room for others.
local function largest_share()
  local largest, most = nil, 0
  local shares = redis.call('HGETALL', SHARES)
  for at = 1, #shares, 2 do
    local bytes = tonumber(shares[at + 1])
    if bytes > most and not string.find(shares[at], ':', 1, true) then largest, most = shares[at], bytes end
  end
  return largest
end

-- Returns the share that must lose an entry first: nil if there is room, false if none can lose one. Clashes are never
-- evicted: each is about a person, and an operator decides.
local function crowded_share()
  local bytes = tonumber(redis.call('HGET', SHARES, args.share) or 0)
  if redis.call('ZCARD', SHARE) >= args.max_entries or bytes + args.size > args.max_bytes then
    return not args.clash and args.share
  end
  if kept_bytes() + args.size > args.max_total then return largest_share() or false end
end

local since = redis.call('ZSCORE', ENTRIES, args.entry)
if since and redis.call('HGET', ENTRY, 'share') == args.share then
  redis.call('HSET', ENTRY, 'problems', args.problems, 'headers', args.headers)
  return 1
end

local evicted = 0
while true do
  local share = crowded_share()
  if share == nil then break end
  local oldest = share and redis.call('ZRANGE', share_key(share), 0, 0)[1]
  if not oldest then return 0 end
  if evicted == args.max_evicted then return -1 end
  remove_entry(oldest)
  count('evicted:' .. share)
  evicted = evicted + 1
end

-- It did not clash before, or with another source, or an earlier version stored it.
if since then remove_entry(args.entry) end
redis.call('ZADD', ENTRIES, since or now, args.entry)
redis.call('ZADD', SHARE, since or now, args.entry)
redis.call('HINCRBY', SHARES, args.share, args.size)
redis.call('HSET', ENTRY, 'source', args.source, 'packed', args.packed, 'problems', args.problems,
  'headers', args.headers, 'share', args.share, 'size', args.size)
if args.is_element then redis.call('HSET', ENTRY, 'is_element', '1') end
if args.clash then
  redis.call('HSET', ENTRY, 'clash', args.clash)
  redis.call('HINCRBY', CLASHES, args.source .. ' ' .. args.clash, 1)
  count('clash:' .. args.source .. ':' .. args.clash)
end
return 1
