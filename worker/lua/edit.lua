-- A person mends the data of a contact and asks for another attempt at once, as `retry_now` does.
--
-- ARGV   [3] who asks   [4] fingerprint of the data that the person saw   [5] data (JSON)   [6] fingerprint of them
--        [7] notes (JSON, '' for none)   [8] finders
-- Returns {'due', state} or {reason}: 'gone' (no such record), 'busy' (an attempt is running), 'created' (nothing to do),
--         'changed' (a delivery has brought other data meanwhile): nothing was done.

local record = redis.call('HMGET', RECORD, 'state', 'fingerprint', 'finders', 'operation')
local state = record[1]
if not state then return { 'gone' } end
if state == 'sending' then return { 'busy' } end
if state == 'created' then return { 'created' } end
-- After a first run it holds what this one brings.
if record[2] ~= ARGV[4] and record[2] ~= ARGV[6] then return { 'changed' } end

take_data(record[3], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
local to = start_anew(state)
redis.call('HSET', RECORD, 'trigger', ARGV[3])
leave_operation(record[4], 'left')
due_at(to == 'pending' and NEW or RETRY, now)
return { 'due', to }
