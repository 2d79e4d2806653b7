"""What every kind of proof works with: the delivery as it came, and the ways in which it can fail to convince."""

from dataclasses import dataclass, field
from typing import Protocol

from worker.errors import SyncError

#: Characters. Room for dozens of signatures; bounds the work that a hostile header can cause.
MAX_HEADER = 4096


class Unauthentic(SyncError):
    """The delivery does not prove who sent it. The text is safe to answer with: nothing in it was sent or is secret."""


class Unsigned(Unauthentic):
    """The delivery does not even try: what should carry the proof is missing."""


class Undecided(SyncError):
    """We cannot tell for now, by no fault of the sender: the keys that it signs with could not be fetched."""


class Lookup(Protocol):
    """What we ask of headers and query arguments: the first value under a name, or ``None``."""

    def get(self, key: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request as it came. ``headers`` take no notice of case; their values are as WSGI gives them, in Latin-1.

    ``body`` is what was sent, before anything is unpacked or parsed.
    """

    headers: Lookup = field(repr=False)
    body: bytes = field(repr=False)
    args: Lookup = field(default_factory=dict[str, str], repr=False)
    method: str = "POST"
    url: str = field(default="", repr=False)


def present(value: str | None, what: str) -> str:
    """``value``, if there is one of a length that is worth looking at.

    Raises:
        Unauthentic: there is none, or it is too long; ``what`` names it in the text.
    """
    if not value:
        raise Unsigned(f"{what} is missing")
    if len(value) > MAX_HEADER:
        raise Unauthentic(f"{what} is too long")
    return value


def ascii_header(delivery: Delivery, name: str) -> str:
    """The value of a header that holds a signature, a time or an id.

    Raises:
        Unauthentic: it is missing, too long or not ASCII.
    """
    value = present(delivery.headers.get(name), f"the {name} header")
    if not value.isascii():
        raise Unauthentic(f"the {name} header is not ASCII")
    return value
