"""The sync itself: from an accepted signup to one LiveDesk contact. No Flask here.

Read it in this order:

``model``      the words as types: Contact, State, Attempt, Verdict
``errors``     everything that can go wrong, as one tree
``settings``   one frozen Settings; the only reader of the environment
``normalise``  what a sender wrote, made fit to be sent
``sync``       the algorithm, one numbered step after the other
``retry``      when to try next, and when to give up: pure
``upstream``   how LiveDesk is treated by all workers together: pace, breaker, pause
``livedesk``   the LiveDesk client: the only place that knows its status codes
``findings``   what checks find, and the hops on the way to LiveDesk; ``probe`` tries a LiveDesk account out
``reconcile``  what we hold as created, compared with LiveDesk
``account``    what is known about the LiveDesk account
``store``      every change to a contact, one Lua script each (``lua/``; ``scripts`` runs them)
``desk``       changes to what else is kept: the quarantine, the audit, counts, what commands have found out
``operations`` many contacts retried or discarded, in chunks, with a canary and an undo
``history``    every look at Redis; ``lists`` those at many contacts, ``situation`` those at how things stand
``durability`` what a 200 means on this Redis, whether that is what is required, and whether there is room
``keys``       every key name, its type and its meaning
``hints``      Celery's message, built once by Celery itself
``app``        the Celery app; ``tasks`` joins the parts; ``sweeper`` runs beside the tasks in each worker process
``telemetry``  logs and Sentry, without personal data; ``lines`` of the log that machines read
``tally``      counts in memory, added to those in Redis every few seconds; ``metrics`` what Prometheus is told
"""
