-- Puts a message in the queue that names no record: who takes it finds nothing to do.
--
-- ARGV   [3] Celery message   [4] bound of the queue
-- Returns 1, or 0 when the queue has no room: nothing was done.

if redis.call('LLEN', QUEUE) >= tonumber(ARGV[4]) then return 0 end
redis.call('LPUSH', QUEUE, ARGV[3])
return 1
