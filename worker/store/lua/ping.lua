-- Enqueues a message that names no contact: the worker that takes it finds nothing to do.
--
-- message: string    for Celery
-- queue_bound: int
-- Returns 1, or 0 when the queue has no room: nothing was done.

if redis.call('LLEN', QUEUE) >= args.queue_bound then return 0 end
redis.call('LPUSH', QUEUE, args.message)
return 1
