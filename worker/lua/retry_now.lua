-- A person asks for another attempt at once. It starts with a fresh retry budget; an answer that is unknown stays so.
--
-- Returns {'due', state} or {reason}: 'gone' (no such record), 'busy' (an attempt is running), 'created' (nothing to do).

local state = redis.call('HGET', RECORD, 'state')
if not state then return { 'gone' } end
if state == 'sending' then return { 'busy' } end
if state == 'created' then return { 'created' } end

local to = state == 'pending' and 'pending' or 'retrying'
redis.call('HDEL', RECORD, 'next_attempt_at', 'closed_at', 'owner_id', 'failures', 'repeats', 'spent_ms', 'crashes')
if to ~= state then enter(to, state) end
due_at(to == 'pending' and NEW or RETRY, now)
return { 'due', to }
