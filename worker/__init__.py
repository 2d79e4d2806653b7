"""The sync itself: from an accepted signup to one LiveDesk contact. No Flask here.

Read it in this order:

``model``      contacts, states, attempts as types; ``actions``: what people can do, and when
``errors``     every error, as one tree; ``causes``: one row for each cause of a failed attempt
``settings``   one frozen Settings; the only reader of the environment
``normalise``  turns what a sender wrote into what LiveDesk accepts; ``placeholders``: what is no identifier;
               ``phone_numbers`` and ``characters``: numbers in E.164, and invisible characters
``sync``       the algorithm, step by step; ``overlap``: whom LiveDesk has already; ``retry``: when to try again
``changes``    what happens after the signup: changes and deletions
``livedesk``   the client: requests, answers, pace and lease, checks, live probes, comparison
``store``      everything in Redis, by subject, each with its reads, writes and Lua scripts
``process``    what runs in a worker: the messages, the sweeper, its activity, the health check
``app``        the Celery app; ``tasks`` joins the parts of a worker
``telemetry``  log lines and Sentry, without personal data; ``durations``: durations and times as text
``greenlets``  code that was written for threads, in an event loop
"""

#: As in ``pyproject.toml``.
__version__ = "0.1.0"
