"""Fingerprints: which fields of a contact have another value, without the values.

A fingerprint has four characters for each field, 24 bits of a keyed hash, and so for each attribute.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter

from worker.model import ATTRIBUTE_FIELDS, Contact

#: Characters of each field in a fingerprint.
CHUNK = 4
#: And its bytes of the hash.
CHUNK_BYTES = 3
#: How a field without a value looks in a fingerprint.
ABSENT = "-" * CHUNK
#: A field of which nobody knows what LiveDesk has.
UNKNOWN = "?" * CHUNK
#: The fields that every fingerprint begins with, in this order. Never change it, because fingerprints are stored.
#: Others follow only where they have a value, each as ``|<name>=<four characters>``.
POSITIONAL = ("inbox_id", "name", "email", "phone_number", "avatar_url")
_positional_of = attrgetter(*POSITIONAL)
_ABSENT = urlsafe_b64decode(ABSENT)
#: Stands for the one hash in 16 million that looks like a field without a value.
_NOT_ABSENT = bytes(CHUNK_BYTES)
#: The fields that LiveDesk does not show as they were sent.
UNSEEN = ("inbox_id", "avatar_url")
#: How attributes are named in a fingerprint, which is stored for every contact.
SHORT = {"custom_attributes": "c", "additional_attributes": "a"}
LONG = {short: field for field, short in SHORT.items()}
#: The fields by their letter, in an attempt that sent a change.
CODES = {name[0]: name for name in POSITIONAL}


def fingerprint(contact: Contact, salt: bytes) -> str:
    """Return four characters, 24 bits of a keyed hash, for each field."""
    if contact.custom_attributes or contact.additional_attributes:
        return dump_chunks({name: _chunk(name, value, salt) for name, value in values_of(contact).items()})
    begin = _keyed(salt, CHUNK_BYTES).copy
    digests = [
        _ABSENT if value is None else _digest(f"{name}={value}", begin())
        for name, value in zip(POSITIONAL, _positional_of(contact), strict=True)
    ]
    return urlsafe_b64encode(b"".join(digests)).decode()  # 3 bytes are 4 characters, wherever they are


def values_of(contact: Contact) -> dict[str, object]:
    """Return the fields with a value, each attribute as ``custom_attributes.<name>``."""
    values: dict[str, object] = {}
    for one, value in contact.present().items():
        if one in ATTRIBUTE_FIELDS:
            values.update({f"{one}.{name}": each for name, each in value.items()})
        elif one != "identifier":
            values[one] = value
    return values


def _chunk(name: str, value: object, salt: bytes) -> str:
    # An attribute may be true, 1 or "1".
    text = json.dumps(value) if "." in name else value
    return urlsafe_b64encode(_digest(f"{name}={text}", _keyed(salt, CHUNK_BYTES).copy())).decode()


def _digest(text: str, begun: blake2b) -> bytes:
    begun.update(text.encode())
    digest = begun.digest()
    return _NOT_ABSENT if digest == _ABSENT else digest


def keyed_hash(text: str, salt: bytes, size: int) -> bytes:
    """Return the keyed BLAKE2b (RFC 7693) of a text, of ``size`` bytes."""
    hashed = _keyed(salt, size).copy()  # in half the time of a new one
    hashed.update(text.encode())
    return hashed.digest()


@lru_cache(16)
def _keyed(salt: bytes, size: int) -> blake2b:
    return blake2b(key=salt, digest_size=size)


def chunks_of(fingerprint: str) -> dict[str, str]:
    """Return the four characters of each field with a value."""
    first, *named = fingerprint.split("|")
    pairs = [(name, first[at * CHUNK :][:CHUNK]) for at, name in enumerate(POSITIONAL)]
    pairs += [(_long(name), chunk) for name, _, chunk in (one.rpartition("=") for one in named)]
    return {name: chunk for name, chunk in pairs if chunk != ABSENT}


def dump_chunks(chunks: Mapping[str, str]) -> str:
    """Return the fingerprint with these four characters of each field."""
    first = "".join(chunks.get(name, ABSENT) for name in POSITIONAL)
    named = sorted(f"{_short(name)}={chunk}" for name, chunk in chunks.items() if name not in POSITIONAL)
    return "|".join([first, *named])


def _short(name: str) -> str:
    """Return the name of an attribute as it is stored."""
    field, _, attribute = name.partition(".")
    return f"{SHORT[field]}.{attribute}"


def _long(name: str) -> str:
    short, _, attribute = name.partition(".")
    return f"{LONG[short]}.{attribute}"


def without_attributes(fingerprint: str) -> str:
    """Return the fingerprint of the same contact without attributes."""
    return fingerprint.partition("|")[0]


def with_unknown(fingerprint: str, names: Iterable[str]) -> str:
    """Return the fingerprint if nobody knows what LiveDesk has in these fields."""
    return dump_chunks({**chunks_of(fingerprint), **dict.fromkeys(names, UNKNOWN)})


def differing_fields(before: str, after: str) -> list[str]:
    """Return the fields in which two fingerprints differ."""
    one, other = chunks_of(before), chunks_of(after)
    names = (*POSITIONAL, *sorted((one.keys() | other.keys()) - set(POSITIONAL)))
    return [name for name in names if one.get(name) != other.get(name)]


def differing_values(fingerprint: str, values: Mapping[str, object], salt: bytes) -> list[str]:
    """Return the fields of ``values`` that differ; skip those without a value before.

    ``None`` is no value.
    """
    chunks = chunks_of(fingerprint)
    return [
        name
        for name, value in values.items()
        if name in chunks and chunks[name] != (None if value is None else _chunk(name, value, salt))
    ]


def code_of(name: str) -> str:
    """Return a field's name in an attempt: one letter, unless it is an attribute."""
    return name[0] if name in POSITIONAL else _short(name)


def name_of(code: str) -> str:
    """Return the field with this ``code_of``."""
    return CODES.get(code) or _long(code)
