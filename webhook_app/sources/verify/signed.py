"""What a signature covers, and where in a delivery it is."""

import re
import string
from dataclasses import dataclass, field

from webhook_app.sources.body.parse import BadBody, split_first
from webhook_app.sources.verify.delivery import Delivery, Unauthentic, ascii_header
from worker.errors import SettingsError

#: Seconds into the past and the future, as the reference libraries of Standard Webhooks have it.
TOLERANCE = 300.0
#: Seconds: a day. Beyond it a timestamp would not hinder anybody from sending an old delivery again.
MAX_TOLERANCE = 86_400
#: Digits: enough for milliseconds until the year 33,000.
MAX_TIMESTAMP = 15
#: How many of each there are in a second.
UNITS = {"s": 1, "ms": 1000}
#: What a template may name.
PARTS = ("body", "t", "id", "method", "url", "decoded_url")
#: What HubSpot decodes in an address before it signs it (its "Validating requests", version 3).
HUBSPOT_DECODES = re.compile("%(" + "|".join(f"{ord(character):02X}" for character in ":/?@!$'()*,;") + ")", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a signature covers and where it is, in one of the forms that senders use.

    The header is one signature, or a list of items that ``separator`` parts. An item that begins with ``prefix`` is a
    signature; one that begins with ``timestamp_prefix`` is the time, unless that has a header of its own.
    ``tolerance`` is in seconds, ``unit`` what the sender counts time in. Items that we do not know are skipped: they
    are for other versions. ``url`` is the address as the sender has it, where a proxy changes it on the way. With
    ``first_element_only`` the signature of an array covers its first element and nothing else, so that it may have no
    other.

    Raises:
        SettingsError: the parts do not make a scheme that can be trusted; every mistake is named.
    """

    header: str = ""
    prefix: str = ""
    separator: str = ""
    template: str = "{body}"
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    unit: str = "s"
    tolerance: float = TOLERANCE
    id_header: str = ""
    url: str = field(default="", repr=False)
    first_element_only: bool = False
    _parts: tuple[bytes | str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise SettingsError(problems)
        object.__setattr__(self, "_parts", _template_parts(self.template))

    def _signatures_and_message(self, delivery: Delivery, now: float) -> tuple[list[str], bytes]:
        """The signatures that were sent, and the bytes that they should be of.

        Raises:
            Unauthentic: the time is not within the tolerance, or something is missing or malformed.
        """
        items = self._items(ascii_header(delivery, self.header))
        signatures = [item.removeprefix(self.prefix) for item in items if item.startswith(self.prefix)]
        return signatures, self.message(delivery, self._timestamp(delivery, items, now))

    def _items(self, header: str) -> list[str]:
        """Supabase parts several signatures with ``", "`` where the standard has a space: a left-over comma goes."""
        items = header.split(self.separator) if self.separator else [header]
        return [item.strip(" \t,") for item in items]

    def _timestamp(self, delivery: Delivery, items: list[str], now: float) -> str:
        """The time exactly as it was written, for so it was signed; ``""`` where the scheme has none."""
        if self.timestamp_header:
            text = ascii_header(delivery, self.timestamp_header)
        elif self.timestamp_prefix:
            text = next((item for item in items if item.startswith(self.timestamp_prefix)), "")
            text = text.removeprefix(self.timestamp_prefix)
        else:
            return ""
        if not text.isdigit() or len(text) > MAX_TIMESTAMP:
            raise Unauthentic("the timestamp is missing or not a number")
        if not abs(now - int(text) / UNITS[self.unit]) <= self.tolerance:
            raise Unauthentic("the timestamp is too far from the present time")
        return text

    def message(self, delivery: Delivery, timestamp: str) -> bytes:
        """The bytes that are signed. ``timestamp`` is written as the delivery has it.

        Raises:
            Unauthentic: something is missing or malformed.
        """
        if self.template == "{body}" and not self.first_element_only:
            return delivery.body
        parts = self._parts
        return b"".join(part if isinstance(part, bytes) else self._part(part, delivery, timestamp) for part in parts)

    def _part(self, name: str, delivery: Delivery, timestamp: str) -> bytes:
        """What stands for one of ``PARTS``."""
        match name:
            case "body":
                return _first_element(delivery.body) if self.first_element_only else delivery.body
            case "t":
                return timestamp.encode()
            case "id":
                return ascii_header(delivery, self.id_header).encode()
            case "method":
                return delivery.method.encode(errors="replace")
        url = self.url or delivery.url
        return (_hubspot_decoded(url) if name == "decoded_url" else url).encode(errors="replace")

    @property
    def needs_url(self) -> bool:
        """Whether the address that a delivery was sent to is looked at."""
        return not self.url and bool({"url", "decoded_url"} & set(self._parts))

    def _problems(self) -> list[str]:
        """Sentences about what does not fit together."""
        parts = [part for part in _template_parts(self.template) if isinstance(part, str)]
        timed = bool(self.timestamp_header or self.timestamp_prefix)
        rules = {
            "header is missing": bool(self.header),
            f"unit must be one of {', '.join(UNITS)}": self.unit in UNITS,
            f"tolerance must be above 0 and at most {MAX_TOLERANCE} seconds": 0 < self.tolerance <= MAX_TOLERANCE,
            f"template may name {', '.join(PARTS)} only, each in braces": set(parts) <= set(PARTS),
            "template must hold {body}: nothing else vouches for it": "body" in parts,
            "template must hold {t} if there is a timestamp, and only then": ("t" in parts) == timed,
            "template must hold {id} if there is an id_header, and only then": ("id" in parts) == bool(self.id_header),
            "timestamp_prefix needs a separator": bool(self.separator or not self.timestamp_prefix),
        }
        return [problem for problem, holds in rules.items() if not holds]


def _first_element(body: bytes) -> bytes:
    """What Segment signs: the first element of an array, and anything else whole."""
    if not body.lstrip().startswith(b"["):
        return body
    try:
        element, has_others = split_first(body)
    except BadBody:
        raise Unauthentic("the body is not an array with an element in it") from None
    if has_others:
        raise Unauthentic("the signature covers only the first element of a batch and cannot vouch for the others")
    return element


def _hubspot_decoded(url: str) -> str:
    return HUBSPOT_DECODES.sub(lambda match: chr(int(match[1], 16)), url)


def _template_parts(template: str) -> tuple[bytes | str, ...]:
    """``"{t}.{body}"`` as ``("t", b".", "body")``: names as ``str``, what stands between them as ``bytes``."""
    try:
        pairs = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]
    except ValueError:
        return ("",)
    return tuple(part for literal, name in pairs for part in (literal.encode(), name) if part not in (b"", None))
