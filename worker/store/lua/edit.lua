-- A person changes what is sent for a contact, and asks for another attempt at once, with a fresh retry budget. An answer
-- that is unknown stays so. The source stays the one that the contact came from.
--
-- ARGV   [3] who asks ('' for nobody named)   [4] data (JSON)   [5] fingerprint   [6] notes (JSON, '' for none)   [7] finders
--        [8] fingerprint of the data that the person saw ('' for any)
-- Returns {'due', state} or {reason}: 'gone' (no such record), 'busy' (an attempt is running), 'created' (nothing to do),
--         'changed' (a delivery has brought other data since): nothing was done.

local record = redis.call('HMGET', RECORD, 'state', 'operation', 'finders', 'fingerprint')
local state = record[1]
if not state then return { 'gone' } end
if state == 'sending' then return { 'busy' } end
if state == 'created' then return { 'created' } end
-- After a first run it holds what this one brings.
if ARGV[8] ~= '' and record[4] ~= ARGV[8] and record[4] ~= ARGV[5] then return { 'changed' } end

take_data(ARGV[4], ARGV[5], ARGV[6], ARGV[7], record[3])
local to = start_anew(state)
if ARGV[3] ~= '' then redis.call('HSET', RECORD, 'trigger', ARGV[3]) end
leave_operation(record[2], 'left')
due_at(to == 'pending' and NEW or RETRY, now)
return { 'due', to }
