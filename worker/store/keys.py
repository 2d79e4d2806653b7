"""Every key that LiveDesk Sync keeps in Redis. Nothing else in the code names one.

All keys share one hash tag, so that a script may touch several of them on a Redis Cluster.

``<key>`` below stands for a contact's key: 16 characters, a keyed hash of its identifier (``contact_key``), because
key names end up in logs, monitors and backups where an e-mail address has no business.

========================  ======  =========================================================================
``{lds}:c:<key>``         HASH    the record of one contact (fields: ``store``)
``{lds}:due``             ZSET    every open contact once: key → lane * 10^14 + ms when it must be looked at
``{lds}:state:<state>``   ZSET    key → ms when the contact entered that state; seven of them
``{lds}:causes``          ZSET    cause → ms when it was last seen
``{lds}:cause:<cause>``   ZSET    key → ms when its last attempt ended, with that cause; not once ``created``
``{lds}:people:<cause>``  STRING  HyperLogLog of the contacts that the cause has hit since it was new
``{lds}:m:<minute>``      HASH    what happened in a minute since the epoch, by name, how often; kept for 25 hours
``{lds}:counts``          HASH    the same since ever, and ``since:<cause>`` → ms when a cause was new
``{lds}:upstream``        HASH    what all workers know about LiveDesk (fields: ``lua/upstream.lua``)
``{lds}:inboxes``         HASH    inboxes that LiveDesk does not know (fields: ``lua/upstream.lua``)
``{lds}:failing``         SET     contacts that failed by LiveDesk's fault since it last answered
``{lds}:f:<bucket>``      HASH    finder → the keys of contacts with that e-mail address, phone number or contact id
``{lds}:op:<id>``         HASH    one operation on many contacts (fields: ``operations``)
``{lds}:op:<id>:saved``   HASH    key → JSON: what a contact was before the operation, so that it can be undone
``{lds}:operations``      ZSET    id → ms when the operation began
``{lds}:audit``           STREAM  who did what by hand, to whom (``<key>``) and why; the latest ten thousand
``{lds}:workers``         ZSET    worker name → ms when it last made progress
``{lds}:salt``            STRING  the hash's secret; made once, lives as long as the records do
``{lds}:create``          LIST    Celery's messages; kombu puts its prefix before the queue's name
``{lds}:q:<id>``          HASH    one delivery in quarantine: source, payload, problems, headers
``{lds}:quarantine``      ZSET    id → ms when it came
``{lds}:tries:<hash>``    HASH    tries to sign in from one address, and when they are forgotten; expires
``{lds}:secrets``         HASH    ``<source>:<secret's name>`` → ms when it last proved a delivery
``{lds}:reconcile``       HASH    how far ``flask reconcile`` has come: at, key, checked, found
``{lds}:account``         HASH    what live probes found out about the LiveDesk account (``note_account``)
``{lds}:mark``            STRING  written behind a delivery whose durability is waited for (``durability``)
========================  ======  =========================================================================
"""

from base64 import b64encode
from hashlib import blake2b

from worker.model import State

PREFIX = "{lds}:"
#: The name of Celery's queue; with the prefix it is the list ``QUEUE``.
QUEUE_NAME = "create"

QUEUE = PREFIX + QUEUE_NAME
DUE = PREFIX + "due"
CAUSES = PREFIX + "causes"
WORKERS = PREFIX + "workers"
SALT = PREFIX + "salt"
QUARANTINE = PREFIX + "quarantine"
SECRETS = PREFIX + "secrets"
UPSTREAM = PREFIX + "upstream"
INBOXES = PREFIX + "inboxes"
FAILING = PREFIX + "failing"
COUNTS = PREFIX + "counts"
OPERATIONS = PREFIX + "operations"
AUDIT = PREFIX + "audit"
ACCOUNT = PREFIX + "account"
RECONCILE = PREFIX + "reconcile"
MARK = PREFIX + "mark"

#: Lanes of ``due``: a lower one goes first, whatever the times are. A score is ``lane * LANE + ms``.
LANE = 10**14
LANES = 4
#: Where the lanes begin that the sweep hands over; in the last one contacts wait for their inbox.
SWEPT_LANES = (0, LANE, 2 * LANE)
#: How many hashes the finders are spread over: so few in each that Redis keeps it in its compact form.
BUCKETS = 2**14


#: Characters of a contact's key.
KEY_LENGTH = 16


def contact_key(identifier: str, salt: bytes) -> str:
    """The key of the contact with this identifier: BLAKE2b (RFC 7693) keyed with the salt, 96 bits.

    Base64 with ``.`` and ``_``, so that it can stand in an address, and on a command line, where a ``-`` in front would
    make it an option. Among ten million contacts two share a key with a chance of 10^-15.
    """
    digest = blake2b(identifier.encode(), key=salt, digest_size=12).digest()
    return b64encode(digest, altchars=b"._").decode()


def contact(key: str) -> str:
    return f"{PREFIX}c:{key}"


def quarantined(entry: str) -> str:
    return f"{PREFIX}q:{entry}"


def tries(address: str) -> str:
    return f"{PREFIX}tries:{address}"


def state(name: State) -> str:
    return f"{PREFIX}state:{name}"


def cause(name: str) -> str:
    return f"{PREFIX}cause:{name}"


def people(name: str) -> str:
    return f"{PREFIX}people:{name}"


def minute(number: int | str) -> str:
    return f"{PREFIX}m:{number}"


def operation(name: str) -> str:
    return f"{PREFIX}op:{name}"


def saved(operation_id: str) -> str:
    return f"{operation(operation_id)}:saved"


def finder(name: str, value: str, salt: bytes) -> str:
    """``<bucket>:<field>``: where the contacts with this value of a field are noted. A keyed hash of 63 bits."""
    digest = blake2b(f"{name}={value}".encode(), key=salt, digest_size=8).digest()
    field = b64encode(digest[2:], altchars=b"._").decode()
    return f"{int.from_bytes(digest[:2], 'big') % BUCKETS}:{field}"


def split(found: str) -> list[str]:
    """Split what a finder leads to into the contacts' keys."""
    return [found[at : at + KEY_LENGTH] for at in range(0, len(found), KEY_LENGTH)]


def finders(bucket: str) -> str:
    return f"{PREFIX}f:{bucket}"


#: What every script gets after KEYS[1], in the order that ``lua/common.lua`` names them.
SHARED = (
    *(DUE, QUEUE, CAUSES, SALT, *(state(name) for name in State)),
    *(UPSTREAM, INBOXES, FAILING, COUNTS),
    *(minute(""), cause(""), people(""), finders(""), operation("")),
)


def for_contact(key: str) -> tuple[str, ...]:
    """KEYS of a script that changes one contact."""
    return (contact(key), *SHARED)


def for_sweep() -> tuple[str, ...]:
    """KEYS of the script that hands contacts over; it looks at no record."""
    return (contact(""), *SHARED, WORKERS)


def for_operation(name: str) -> tuple[str, ...]:
    """KEYS of a script that changes many contacts, or what is written about that."""
    return (contact(""), *SHARED, saved(name))


def for_operations() -> tuple[str, ...]:
    """KEYS of the script that begins an operation."""
    return (contact(""), *SHARED, OPERATIONS)


def for_quarantined(entry: str) -> tuple[str, ...]:
    """KEYS of a script that changes the quarantine."""
    return (quarantined(entry), *SHARED, QUARANTINE)


def for_account() -> tuple[str, ...]:
    """KEYS of the script that notes what was found out about the LiveDesk account."""
    return (ACCOUNT, *SHARED)


def for_tries(address: str) -> tuple[str, ...]:
    """KEYS of the script that counts tries to sign in; ``address`` is a keyed hash."""
    return (tries(address), *SHARED)
