"""Every key that LiveDesk Sync keeps in Redis. Nothing else in the code names one.

All keys share one hash tag, so that a script may touch several of them on a Redis Cluster.

``<key>`` below stands for a contact's key: 16 characters, a keyed hash of its identifier (``contact_key``), because
key names end up in logs, monitors and backups where an e-mail address has no business.

========================  ======  =========================================================================
``{lds}:c:<key>``         HASH    the record of one contact (fields: ``store``)
``{lds}:due``             ZSET    every open contact once: key → lane * 10^14 + ms when it must be looked at
``{lds}:state:<state>``   ZSET    key → ms when the contact entered that state; seven of them
``{lds}:causes``          ZSET    cause → ms when it was last seen
``{lds}:workers``         ZSET    worker name → ms when it last made progress
``{lds}:salt``            STRING  the hash's secret; made once, lives as long as the records do
``{lds}:create``          LIST    Celery's messages; kombu puts its prefix before the queue's name
``{lds}:q:<id>``          HASH    one delivery in quarantine: source, payload, problems, headers
``{lds}:quarantine``      ZSET    id → ms when it came
``{lds}:secrets``         HASH    ``<source>:<secret's name>`` → ms when it last proved a delivery
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
MARK = PREFIX + "mark"

#: Lanes of ``due``: a lower one goes first, whatever the times are. A score is ``lane * LANE + ms``.
LANE = 10**14
LANES = 3


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


def state(name: State) -> str:
    return f"{PREFIX}state:{name}"


#: What every script gets after KEYS[1], in the order that ``lua/common.lua`` names them.
SHARED = (DUE, QUEUE, CAUSES, SALT, *(state(name) for name in State))


def for_contact(key: str) -> tuple[str, ...]:
    """KEYS of a script that changes one contact."""
    return (contact(key), *SHARED)


def for_sweep() -> tuple[str, ...]:
    """KEYS of the script that hands contacts over; it looks at no record."""
    return (contact(""), *SHARED, WORKERS)


def for_quarantined(entry: str) -> tuple[str, ...]:
    """KEYS of a script that changes the quarantine."""
    return (quarantined(entry), *SHARED, QUARANTINE)
