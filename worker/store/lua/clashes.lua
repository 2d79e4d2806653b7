-- How many deliveries are in quarantine because the identifier is another person's: by source and other source.

local CLASHES = PREFIX .. 'clashes'

-- An entry of the quarantine no longer counts as a clash.
local function leave_clash(entry)
  local kept = redis.call('HMGET', entry, 'source', 'clash')
  if not kept[2] then return end
  local pair = kept[1] .. ' ' .. kept[2]
  if redis.call('HINCRBY', CLASHES, pair, -1) < 1 then redis.call('HDEL', CLASHES, pair) end
end
