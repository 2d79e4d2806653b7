-- Reads which causes keep contacts from LiveDesk, or one of them. It changes nothing.
--
-- cause: string or nil   nil for all that contacts wait for, or that were seen within `recent_ms`
-- recent_ms: int
-- limit: int             of all causes, how many at most: those of most contacts, and of these the latest
-- minutes: int           of which attempts are read
-- Returns for each cause {name, when it was last seen, contacts that wait, people that it has affected, attempts, when it was new,
-- {minutes ago, attempts, ...}}.

local CAUSES = PREFIX .. 'causes'

local function list_seen()
  if not args.cause then return redis.call('ZRANGE', CAUSES, 0, -1, 'REV', 'WITHSCORES') end
  local seen = redis.call('ZSCORE', CAUSES, args.cause)
  return seen and { args.cause, seen } or {}
end

local function is_larger(one, other)
  if one.waiting ~= other.waiting then return one.waiting > other.waiting end
  if one.seen ~= other.seen then return one.seen > other.seen end
  return one.name < other.name
end

-- Adds the attempts of a minute to the causes that have some.
local function add_minute(causes, fields, minute, back)
  for nth, attempts in ipairs(redis.call('HMGET', minute_key(minute - back), unpack(fields))) do
    if attempts then
      local list = causes[nth].minutes
      list[#list + 1] = back
      list[#list + 1] = tonumber(attempts)
    end
  end
end

local causes, seen = {}, list_seen()
for i = 1, #seen, 2 do
  local cause = { name = seen[i], seen = tonumber(seen[i + 1]), minutes = {} }
  cause.waiting = redis.call('ZCARD', PREFIX .. 'cause:' .. cause.name)
  if args.cause or cause.waiting > 0 or cause.seen > now - args.recent_ms then causes[#causes + 1] = cause end
end
table.sort(causes, is_larger)

local fields, minute = {}, math.floor(now / 60000)
for nth = 1, math.min(#causes, args.limit) do fields[nth] = 'cause:' .. causes[nth].name end
for back = 0, #fields > 0 and args.minutes - 1 or -1 do add_minute(causes, fields, minute, back) end

local answer = {}
for nth, field in ipairs(fields) do
  local cause = causes[nth]
  local counted = redis.call('HMGET', COUNTS, field, 'since:' .. cause.name)
  answer[nth] = { cause.name, cause.seen, cause.waiting, redis.call('PFCOUNT', PREFIX .. 'people:' .. cause.name),
    tonumber(counted[1] or 0), counted[2] and tonumber(counted[2]), cause.minutes }
end
return answer
