"""Normalise what a sender wrote into a ``Contact`` and notes about changes.

A contact is never lost because of an optional field: what LiveDesk would refuse is left out and noted. Only the
identifier, and an inbox that the delivery itself names, can make a delivery unmappable. Notes and problems are fixed
sentences that never repeat a value.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import phonenumbers

from worker.errors import Unmappable
from worker.model import CONTACT_FIELDS, Contact, Note, NoteCode, Signup

#: Characters; the limit of LiveDesk's text columns (livedesk-api 2.1).
MAX_TEXT = 255
#: Characters; our own limit, because LiveDesk downloads the picture and stores no URL (livedesk-api 2.5).
MAX_URL = 2048
#: LiveDesk's inbox ids are 32-bit integers.
MAX_INBOX_ID = 2**31 - 1
#: Characters; far above E.164's 15 digits with any punctuation. Limits what the library parses.
MAX_PHONE_TEXT = 64
#: The longest integer that Python converts to text whatever its limit is set to (``sys.int_info``).
_LONGEST_INTEGER = 10**640

#: NUL makes LiveDesk answer 500 every time; half a surrogate pair cannot be encoded as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: The same without white space, plus the bidirectional controls, which can disguise a name.
_NOT_IN_A_NAME = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: LiveDesk's own rule (livedesk-api 2.1).
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_NAMED_EMAIL = re.compile(r"[^<>]*<([^<>]*)>")
_URL = re.compile(
    r"[hH][tT][tT][pP][sS]?://(?:[^\s/?#@\\]*@)?(?:\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]\\]+)(?::[0-9]{1,5})?(?:[/?#]\S*)?"
)
#: A phone number with an optional extension and nothing else: the library would also find one in a sentence.
_PHONE = re.compile(
    r"(?:tel:)?[\s(]*([+\uff0b\d][\d\s().\-/\u2010-\u2015\u2212]*)(\s*(?:;ext=|ext\.?|x|#)\s*\d{1,7})?", re.IGNORECASE
)
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_INBOX_ID = re.compile("[0-9]{1,10}")


class _Unusable(Exception):
    """A value cannot be used. The text says why and does not repeat it."""


def normalise(
    raw: Mapping[str, object],
    *,
    region: str | None = None,
    inbox_id: int | None = None,
    id_prefix: str = "",
    strict: bool = False,
) -> Signup:
    """Return the contact that ``raw`` describes, with notes about changes.

    ``raw`` maps names of ``Contact``'s fields to what the sender wrote; other names are ignored, ``None`` and blank
    text mean absent. ``region`` (ISO 3166-1, two capital letters) is the country of phone numbers without a country
    code; ``inbox_id`` is the inbox of a delivery that names none; ``id_prefix`` precedes the identifier.

    Raises:
        Unmappable: the identifier or the inbox is invalid; with ``strict``, any field is.
    """
    problems: dict[str, str] = {}
    values: dict[str, Any] = {}
    notes: list[Note] = []
    for field, read in READERS.items():
        try:
            values[field], remark = read(raw.get(field), region)
        except _Unusable as reason:
            if strict or not CONTACT_FIELDS[field].is_optional:
                problems[field] = str(reason)
            values[field] = None
            notes.append(Note(field, f"left out: {reason}", NoteCode.LEFT_OUT))
        else:
            if remark:
                notes.append(Note(field, remark, NoteCode.ALTERED))
    if id_prefix and values["identifier"]:
        values["identifier"] = id_prefix + values["identifier"]
        if len(values["identifier"]) > MAX_TEXT:
            problems["identifier"] = f"longer than {MAX_TEXT} characters with its prefix"
    if problems:
        raise Unmappable(problems)
    contact = Contact(**values | {"inbox_id": values["inbox_id"] or inbox_id})
    return Signup(contact, tuple(notes), is_unverified=raw.get("email_verified") is False)


def as_text(value: object) -> str | None:
    """Return a JSON string or number as text, digit for digit, otherwise ``None``.

    A number is an ``int`` or a ``Decimal``. A ``float`` may be rounded already and is refused, as is a ``bool``, which
    is an integer in Python.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < _LONGEST_INTEGER else None
    return str(value) if isinstance(value, Decimal) and value.is_finite() else None


def _identifier(value: object) -> str:
    """The identifier as the sender wrote it: two spellings are two contacts."""
    text = "" if value is None else as_text(value)
    if text is None:
        raise _Unusable("neither text nor an exact number")
    text = text.strip()
    if not text:
        raise _Unusable("missing")
    if len(text) > MAX_TEXT:
        raise _Unusable(f"longer than {MAX_TEXT} characters")
    if _UNPRINTABLE.search(text):
        raise _Unusable("contains control characters or half a surrogate pair")
    return text


def _inbox_id(value: object) -> int | None:
    text = "" if value is None else as_text(value)
    if text is not None and not text.strip():
        return None
    if text is None or not _INBOX_ID.fullmatch(text.strip()) or not 0 < int(text) <= MAX_INBOX_ID:
        raise _Unusable("not an inbox id")
    return int(text)


def _name(text: str) -> tuple[str, str]:
    """Collapse white space, remove control characters, and cut to the limit."""
    clean = _NOT_IN_A_NAME.sub("", text)
    remark = "" if len(clean) == len(text) else "control characters removed"
    clean = " ".join(clean.split())
    if len(clean) > MAX_TEXT:
        return clean[:MAX_TEXT].rstrip(), f"cut to {MAX_TEXT} characters"
    return clean, remark


def _email(text: str) -> tuple[str, str]:
    """The address in lower case, without the name in ``Alice <a@b.c>``."""
    if named := _NAMED_EMAIL.fullmatch(text):
        text = named[1].strip()
    text = text.lower()
    if text and (_UNPRINTABLE.search(text) or not _EMAIL.fullmatch(text)):
        raise _Unusable("not an e-mail address")
    if len(text) > MAX_TEXT:
        raise _Unusable(f"longer than {MAX_TEXT} characters")
    return text, ""


def _phone_number(text: str, region: str | None) -> tuple[str, str]:
    """The number in E.164 (ITU-T), which has no extension."""
    if not text:
        return "", ""
    match = _PHONE.fullmatch(text) if len(text) <= MAX_PHONE_TEXT else None
    if match is None:
        raise _Unusable("not a phone number")
    number = _e164(match[1], region)
    if number is None and match[1].startswith("00"):
        number = _e164("+" + match[1][2:], region)
    if number is None:
        is_abroad = match[1].startswith(("+", "\uff0b", "00"))
        raise _Unusable("not a phone number" if region or is_abroad else "a phone number without a country code")
    return number, "extension removed" if match[2] else ""


def _e164(text: str, region: str | None) -> str | None:
    """``text`` in E.164, if a number of this length can be dialled from abroad."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return written if _E164.fullmatch(written) else None


def _avatar_url(text: str) -> tuple[str, str]:
    """An absolute http(s) URL with a host: LiveDesk's server downloads it."""
    if len(text) > MAX_URL:
        raise _Unusable(f"longer than {MAX_URL} characters")
    if text and (_UNPRINTABLE.search(text) or not _URL.fullmatch(text)):
        raise _Unusable("not an http(s) URL")
    return text, ""


def _from_text(read: Callable[[str], tuple[str, str]], value: object) -> tuple[str | None, str]:
    """Read an optional field from text without surrounding white space."""
    if value is None:
        return None, ""
    text = None if isinstance(value, Decimal) else as_text(value)
    if text is None:
        raise _Unusable("not text")
    text, remark = read(text.strip())
    return text or None, remark


#: Each returns a field's value and a remark, from what the sender wrote and the region, or raises ``_Unusable``.
READERS: dict[str, Callable[[object, str | None], tuple[Any, str]]] = {
    "identifier": lambda value, region: (_identifier(value), ""),
    "inbox_id": lambda value, region: (_inbox_id(value), ""),
    "name": lambda value, region: _from_text(_name, value),
    "email": lambda value, region: _from_text(_email, value),
    "phone_number": lambda value, region: _from_text(lambda text: _phone_number(text, region), value),
    "avatar_url": lambda value, region: _from_text(_avatar_url, value),
}
