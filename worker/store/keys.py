"""Every key in Redis. Only this module and the scripts in ``lua/`` name them.

All keys share one hash tag, so that a script may use several of them on a Redis Cluster.

``<key>`` below is a contact's key: 16 characters, a keyed hash of its identifier (``record.contact_key``). Names of
keys end up in logs, monitors and backups, where an e-mail address must not appear.

========================  ======  =========================================================================
``{lds}:c:<key>``         HASH    the record of one contact (fields, and their short names: ``record``)
``{lds}:due``             ZSET    every open contact once: key → lane * 10^14 + ms when it must be looked at
``{lds}:state:<state>``   ZSET    key → ms when the contact entered that state; eight of them
``{lds}:causes``          ZSET    cause → ms when it was last seen
``{lds}:cause:<cause>``   ZSET    key → ms when its last attempt ended, with that cause; not once ``created``
``{lds}:people:<cause>``  STRING  HyperLogLog of the contacts that the cause has affected since it was new
``{lds}:m:<minute>``      HASH    counters of a minute since the epoch, by name; kept for 25 hours
``{lds}:counts``          HASH    the same counters in total, and ``since:<cause>`` → ms when a cause was new
``{lds}:upstream``        HASH    what all workers know about LiveDesk (fields: ``lua/{upstream,breaker}.lua``)
``{lds}:inboxes``         HASH    inboxes that are held (fields: ``lua/breaker.lua``)
``{lds}:inbox_failing``   HASH    inboxes whose last creates failed (fields: ``lua/breaker.lua``)
``{lds}:failing``         SET     contacts that failed because of LiveDesk since it last answered
``{lds}:refused``         SET     contacts that LiveDesk refused in a row with the same words
``{lds}:probing``         SET     lease tokens of the probes under way
``{lds}:f:<bucket>``      HASH    finder → the keys of contacts with that e-mail address, phone number or contact id
``{lds}:aliases:<id>``    SET     the keys of all contacts that are the same one in LiveDesk, where there are several
``{lds}:taken:<id>``      STRING  the ``<key>`` that is giving a LiveDesk contact its identifier, and until when
``{lds}:op:<id>``         HASH    one operation on many contacts (fields: ``operations``)
``{lds}:op:<id>:saved``   HASH    key → JSON: what a contact was before the operation, so that it can be undone
``{lds}:was:<key>``       HASH    the whole record before an operation made it ``known``; kept for as long
``{lds}:operations``      ZSET    id → ms when the operation started
``{lds}:operations:active``  SET  ids of the operations that are running, paused or being undone
``{lds}:audit``           STREAM  who did what manually, to which ``<key>`` and why; the latest ten thousand entries
``{lds}:failed_sign_ins`` STREAM  failed sign-ins, a few each minute and totals; the latest two thousand
``{lds}:decisions``       STREAM  what was decided without an operator about which ``<key>`` and why; as many
``{lds}:changes``         STREAM  changes and deletions that reached LiveDesk, of which ``<key>``; as many
``{lds}:workers``         ZSET    ``<host>:<process id>`` of a worker → ms of its last heartbeat; ``-``: last stop
``{lds}:worker_reports``  HASH    the same → JSON: version, threads, what it does (``queue.WorkerReport``)
``{lds}:salt``            STRING  the secret of the hashes; created once, lives as long as the records
``{lds}:since``           STRING  ms when the salt was created: there are no older records
``{lds}:emptied``         STRING  ms when it was noticed that Redis had been emptied, until that is acknowledged
``{lds}:create``          LIST    Celery's messages; kombu puts its prefix before the queue's name
``{lds}:q:<id>``          HASH    one delivery in quarantine: source, packed payload, problems, headers
``{lds}:quarantine``      ZSET    id → ms when it arrived
``{lds}:quarantine:<share>`` ZSET the same of one share: a source, or a source and the one that it clashes with
``{lds}:quarantine_bytes`` HASH   share → bytes of its entries
``{lds}:clashes``         HASH    ``<source> <other source>`` → deliveries in quarantine because of a clash of the two
``{lds}:tries:<hash>``    HASH    failed sign-ins from one address, and when they expire; ``tries:<way>``: from all
``{lds}:known_address:<hash>`` STRING  somebody has signed in from this address within 30 days
``{lds}:sessions``        ZSET    id of a session of the dashboard → ms when it ends
``{lds}:secrets``         HASH    ``<source>:<secret's name>`` → ms when a delivery was last verified with it
``{lds}:signed:<hash>``   STRING  hash of the body that a signature came with which does not cover it, while it is valid
``{lds}:reconcile``       HASH    how far ``flask reconcile`` got: at, key, checked, found
``{lds}:account``         HASH    what live probes found out about the LiveDesk account (``findings``)
``{lds}:mark``            STRING  written after a delivery to wait for its durability (``durability``)
========================  ======  =========================================================================
"""

from collections.abc import Callable

PREFIX = "{lds}:"
#: The name of Celery's queue; with the prefix it is the list ``QUEUE``.
QUEUE_NAME = "create"

QUEUE = PREFIX + QUEUE_NAME
DUE = PREFIX + "due"
CAUSES = PREFIX + "causes"
WORKERS = PREFIX + "workers"
WORKER_REPORTS = PREFIX + "worker_reports"
SALT = PREFIX + "salt"
SINCE = PREFIX + "since"
EMPTIED = PREFIX + "emptied"
QUARANTINE = PREFIX + "quarantine"
SESSIONS = PREFIX + "sessions"
SECRETS = PREFIX + "secrets"
UPSTREAM = PREFIX + "upstream"
INBOXES = PREFIX + "inboxes"
INBOX_FAILING = PREFIX + "inbox_failing"
FAILING = PREFIX + "failing"
REFUSED = PREFIX + "refused"
PROBING = PREFIX + "probing"
COUNTS = PREFIX + "counts"
OPERATIONS = PREFIX + "operations"
ACTIVE_OPERATIONS = PREFIX + "operations:active"
CLASHES = PREFIX + "clashes"
QUARANTINE_BYTES = PREFIX + "quarantine_bytes"
AUDIT = PREFIX + "audit"
FAILED_SIGN_INS = PREFIX + "failed_sign_ins"
DECISIONS = PREFIX + "decisions"
CHANGES = PREFIX + "changes"
ACCOUNT = PREFIX + "account"
RECONCILE = PREFIX + "reconcile"
MARK = PREFIX + "mark"

#: A score in ``due`` is ``lane * LANE + ms``. Which lane goes first does not depend on the times.
LANE = 10**14
#: The lanes, in the order in which the sweep hands them over; in the last one contacts wait for their inbox.
LANES = {"operator": 6, "new": 0, "retry": 1, "deletion": 5, "change": 4, "bulk": 2, "held": 3}


def _named(kind: str) -> Callable[[object], str]:
    return lambda name: f"{PREFIX}{kind}:{name}"


contact = _named("c")
quarantined = _named("q")
share = _named("quarantine")
tries = _named("tries")
known_address = _named("known_address")
signed = _named("signed")
state = _named("state")
cause = _named("cause")
people = _named("people")
minute = _named("m")
operation = _named("op")
finders = _named("f")
aliases = _named("aliases")
was = _named("was")
taken = _named("taken")


def saved(operation_id: str) -> str:
    return f"{operation(operation_id)}:saved"
