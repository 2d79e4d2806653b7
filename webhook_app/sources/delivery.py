"""A delivery, and the errors with which it is refused."""

from dataclasses import dataclass, field
from typing import Protocol

from worker.errors import SyncError

#: Characters of a header: room for dozens of signatures, and a bound on the work that a hostile one can cause.
MAX_HEADER = 4096


class Unauthentic(SyncError):
    """The sender cannot be verified; the text repeats nothing sent or secret."""


class Unsigned(Unauthentic):
    """The delivery has no signature or token at all."""


class Undecided(SyncError):
    """We cannot verify the delivery now: the keys of its sender could not be fetched."""


class UnknownKey(Undecided):
    """It names a key that its sender has not published yet, as far as we know.

    Anybody can name one.
    """


class BadBody(SyncError):
    """The body cannot be read; the text says why and repeats nothing of it.

    ``status`` is the HTTP status of the answer.
    """

    status = 400


class TooLarge(BadBody):
    """The body unpacks to more than the source accepts, or has too many parts."""

    status = 413


class WrongType(BadBody):
    """The body has a type or an encoding that the source does not accept."""

    status = 415


class Lookup(Protocol):
    """Headers or query arguments: returns the first value under a name, or ``None``."""

    def get(self, key: str, /) -> str | None: ...


@dataclass(slots=True)
class Delivery:
    """One HTTP request; ``headers`` ignore case and are in Latin-1, as in WSGI.

    ``body`` is what was sent, before it is unpacked or parsed.
    """

    headers: Lookup = field(repr=False)
    body: bytes = field(repr=False)
    args: Lookup = field(default_factory=dict[str, str], repr=False)
    method: str = "POST"
    url: str = field(default="", repr=False)


def present(value: str | None, what: str) -> str:
    """Return ``value`` if it is there and not too long.

    Raises:
        Unauthentic: it is missing or too long; ``what`` names it in the text.
    """
    if not value:
        raise Unsigned(f"{what} is missing")
    if len(value) > MAX_HEADER:
        raise Unauthentic(f"{what} is too long")
    return value


def ascii_header(delivery: Delivery, name: str) -> str:
    """Return a header with a signature, a timestamp or an id.

    Raises:
        Unauthentic: it is missing, too long or not ASCII.
    """
    value = delivery.headers.get(name)
    if not value:
        raise Unsigned(is_missing(name))
    if len(value) > MAX_HEADER:
        raise Unauthentic(f"the {name} header is too long")
    if not value.isascii():
        raise Unauthentic(f"the {name} header is not ASCII")
    return value


def is_missing(header: str) -> str:
    """Say that a header is missing."""
    return f"the {header} header is missing"
