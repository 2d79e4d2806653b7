"""Everything in Redis, by subject: ``store.Store`` has them as attributes.

``contacts``    one contact: every change and every read; ``lists``: pages, counts and searches of contacts
``queue``       Celery's messages, the sweep, the workers; ``upstream``: pace, circuit breaker, pause
``operations``  many contacts at once
``overview``    current state, causes, figures for ``/metrics``; ``counters``: counted in memory, flushed
``quarantine``, ``audit``, ``findings``, ``security``    what each keeps, with its reads
``database``    what they share: scripts, salt, clock; ``connection``: how commands are sent;
                ``pipe``: over one connection, by all that an event loop runs
``address``     where Redis is, and how to connect: ``tls``; ``discovery``: with Sentinel, in a cluster
``durability``  what a 200 means on this Redis, and whether there is room; ``readiness``: what a delivery would get now
``keys``        the name, type and meaning of every key; ``record``: how a contact is stored
"""
