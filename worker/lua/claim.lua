-- Gives the caller the lease on one contact, if it may be worked on now. Safe to run twice: the token is the caller's.
--
-- ARGV   [3] token   [4] length of the lease in ms
-- Returns {'claimed', now, lease_until, field, value, ...} with the record,
--         or {reason}: 'gone' (no such record), 'closed', 'busy' (somebody else's lease), 'early' (its time has not come).

local state = redis.call('HGET', RECORD, 'state')
if not state then return { 'gone' } end
if not is_open(state) then return { 'closed' } end

local record = redis.call('HMGET', RECORD, 'token', 'lease_until', 'next_attempt_at')
local token, lease_until, next_attempt_at = record[1], tonumber(record[2] or 0), tonumber(record[3] or 0)

if token ~= ARGV[3] then
  if state == 'sending' and lease_until > now then return { 'busy' } end
  if state == 'retrying' and next_attempt_at > now then return { 'early' } end

  enter('sending', state)
  if state == 'sending' then
    -- Its worker died or was cut off. What it sent, and what came of it, nobody knows.
    redis.call('HSET', RECORD, 'unknown_since', lease_until)
    redis.call('HINCRBY', RECORD, 'crashes', 1)
  end
  lease_until = now + ARGV[4]
  redis.call('HSET', RECORD, 'token', ARGV[3], 'lease_until', lease_until)
  redis.call('HINCRBY', RECORD, 'attempts_made', 1)
  redis.call('HDEL', RECORD, 'next_attempt_at')
  due_at(RETRY, lease_until)
end

local fields = redis.call('HGETALL', RECORD)
return { 'claimed', string.format('%.0f', now), string.format('%.0f', lease_until), unpack(fields) }
