-- Reserves a contact in LiveDesk for one record, which gives it its identifier. Without this, two accounts of one person
-- could do so at the same moment, and nobody would know whose identifier it has. The reservation ends by itself: an attempt
-- that looks for the contact after that sees the identifier.
--
-- contact_id: string   in LiveDesk
-- lasts_ms: int
-- Returns 1, or 0 when another record has it.

local TAKEN = PREFIX .. 'taken:' .. args.contact_id
local holder, till = string.match(redis.call('GET', TAKEN) or '', '^(%S+) (%d+)$')
if holder and holder ~= key and now < tonumber(till) then return 0 end
write_even_when_full()
redis.call('SET', TAKEN, string.format('%s %.0f', key, now + args.lasts_ms), 'PX', args.lasts_ms)
return 1
