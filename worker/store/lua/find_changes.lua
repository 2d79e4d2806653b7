-- Finds the changes of one contact in a part of the log, the latest first. Redis searches it because a client would take
-- ten times as long to read it.
--
-- last, first: string   where the part begins and ends, as XREVRANGE takes them
-- size: int             entries that are searched
-- Returns {where the next part begins, '' at the end, {{id, {field, value, ...}}, ...}}.

local entries = redis.call('XREVRANGE', PREFIX .. 'changes', args.last, args.first, 'COUNT', args.size)

-- Whether an entry is about the contact. `finish` writes its key second.
local function is_wanted(fields)
  return fields[3] == 'key' and fields[4] == key
end

local found = {}
for _, entry in ipairs(entries) do
  if is_wanted(entry[2]) then found[#found + 1] = entry end
end
return { #entries == args.size and '(' .. entries[#entries][1] or '', found }
