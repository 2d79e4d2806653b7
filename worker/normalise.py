"""What a sender wrote, made fit to be sent: raw values in, a ``Contact`` and notes about what was changed out.

A contact is never lost for an optional field: what LiveDesk would refuse is left out and noted. Only the identifier,
and an inbox that the delivery itself names, can make a delivery unmappable. Notes and problems are fixed sentences:
they never repeat a value.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

import phonenumbers

from worker.errors import Unmappable
from worker.model import Contact, Note, NoteCode

#: Characters. LiveDesk's text columns hold no more (livedesk-api 2.1).
MAX_TEXT = 255
#: Characters. LiveDesk fetches the picture and has no column for its address (livedesk-api 2.5): a bound of our own.
MAX_URL = 2048
#: LiveDesk's inbox ids are 32-bit integers.
MAX_INBOX_ID = 2**31 - 1
#: Characters. Far above E.164's 15 digits with any punctuation; bounds what the library has to look at.
MAX_PHONE_TEXT = 64
#: The longest integer that Python writes out whatever its limit is set to (``sys.int_info``).
_LONGEST_INTEGER = 10**640

#: NUL makes LiveDesk answer 500 for ever; half a surrogate pair cannot be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: The same without white space; and the bidirectional controls, which make a name read as another one.
_NOT_IN_A_NAME = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: LiveDesk's own rule (livedesk-api 2.1).
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_NAMED_EMAIL = re.compile(r"[^<>]*<([^<>]*)>")
_URL = re.compile(
    r"[hH][tT][tT][pP][sS]?://(?:[^\s/?#@\\]*@)?(?:\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]\\]+)(?::[0-9]{1,5})?(?:[/?#]\S*)?"
)
#: Nothing but a phone number, perhaps with an extension: the library would also find one inside a sentence.
_PHONE = re.compile(
    r"(?:tel:)?[\s(]*([+\uff0b\d][\d\s().\-/\u2010-\u2015\u2212]*)(\s*(?:;ext=|ext\.?|x|#)\s*\d{1,7})?", re.IGNORECASE
)
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_INBOX_ID = re.compile("[0-9]{1,10}")

T = TypeVar("T")


class _Unusable(Exception):
    """A value cannot be used; the text says why and does not repeat it."""


def normalise(
    raw: Mapping[str, object], *, region: str | None = None, inbox_id: int | None = None, strict: bool = False
) -> tuple[Contact, tuple[Note, ...]]:
    """The contact that ``raw`` describes, and notes about what was left out or changed.

    ``raw`` maps names of ``Contact``'s fields to what the sender wrote there; other names are not looked at, ``None``
    and blank text mean absent. ``region`` (ISO 3166-1, two capital letters) is where a phone number without a country
    code is from; ``inbox_id`` is the inbox of a delivery that names none.

    Raises:
        Unmappable: there is no usable identifier, or the delivery names an inbox that cannot be one; with ``strict``,
            any field cannot be used.
    """
    problems: dict[str, str] = {}
    unusable: dict[str, str] = {}
    notes: list[Note] = []
    contact = Contact(
        identifier=_required(problems, "identifier", _identifier, raw) or "",
        inbox_id=_required(problems, "inbox_id", _inbox_id, raw) or inbox_id,
        name=_optional(notes, unusable, "name", _name, raw),
        email=_optional(notes, unusable, "email", _email, raw),
        phone_number=_optional(notes, unusable, "phone_number", lambda text: _phone_number(text, region), raw),
        avatar_url=_optional(notes, unusable, "avatar_url", _avatar_url, raw),
    )
    if strict:
        problems |= unusable
    if problems:
        raise Unmappable(problems)
    return contact, tuple(notes)


def as_text(value: object) -> str | None:
    """A JSON string or number as text, digit for digit; ``None`` for everything else.

    A number is an ``int`` or a ``Decimal``. A ``float`` may already be rounded and is refused; so is a ``bool``, which
    Python counts among the integers.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < _LONGEST_INTEGER else None
    return str(value) if isinstance(value, Decimal) and value.is_finite() else None


def _required(problems: dict[str, str], field: str, read: Callable[[object], T], raw: Mapping[str, object]) -> T | None:
    """What ``read`` makes of the field; a value that it cannot use is a problem of the whole delivery."""
    try:
        return read(raw.get(field))
    except _Unusable as reason:
        problems[field] = str(reason)
        return None


def _optional(
    notes: list[Note],
    unusable: dict[str, str],
    field: str,
    read: Callable[[str], tuple[str, str]],
    raw: Mapping[str, object],
) -> str | None:
    """What ``read`` makes of the field's text, with its remark as a note; ``None`` for what is absent or unusable."""
    value = raw.get(field)
    if value is None:
        return None
    try:
        text, remark = read(_stripped(value))
    except _Unusable as reason:
        unusable[field] = str(reason)
        notes.append(Note(field, f"left out: {reason}", NoteCode.LEFT_OUT))
        return None
    if remark:
        notes.append(Note(field, remark, NoteCode.ALTERED))
    return text or None


def _stripped(value: object) -> str:
    text = None if isinstance(value, Decimal) else as_text(value)
    if text is None:
        raise _Unusable("not text")
    return text.strip()


def _identifier(value: object) -> str:
    """The identifier as the sender wrote it but for white space around it: two spellings are two contacts."""
    text = "" if value is None else as_text(value)
    if text is None:
        raise _Unusable("neither text nor an exact number")
    text = text.strip()
    if not text:
        raise _Unusable("missing")
    if len(text) > MAX_TEXT:
        raise _Unusable(f"longer than {MAX_TEXT} characters")
    if _UNPRINTABLE.search(text):
        raise _Unusable("holds control characters or half a surrogate pair")
    return text


def _inbox_id(value: object) -> int | None:
    text = "" if value is None else as_text(value)
    if text is not None and not text.strip():
        return None
    if text is None or not _INBOX_ID.fullmatch(text.strip()) or not 0 < int(text) <= MAX_INBOX_ID:
        raise _Unusable("not an inbox id")
    return int(text)


def _name(text: str) -> tuple[str, str]:
    """White space becomes single spaces; what cannot or should not be shown goes; the rest is cut to fit."""
    clean = _NOT_IN_A_NAME.sub("", text)
    remark = "" if len(clean) == len(text) else "control characters were taken out"
    clean = " ".join(clean.split())
    if len(clean) > MAX_TEXT:
        return clean[:MAX_TEXT].rstrip(), f"cut to {MAX_TEXT} characters"
    return clean, remark


def _email(text: str) -> tuple[str, str]:
    """The address in lower case, as LiveDesk compares it, without a name around it: ``Alice <a@b.c>``."""
    if named := _NAMED_EMAIL.fullmatch(text):
        text = named[1].strip()
    text = text.lower()
    if text and (_UNPRINTABLE.search(text) or not _EMAIL.fullmatch(text)):
        raise _Unusable("not an e-mail address")
    if len(text) > MAX_TEXT:
        raise _Unusable(f"longer than {MAX_TEXT} characters")
    return text, ""


def _phone_number(text: str, region: str | None) -> tuple[str, str]:
    """The number as E.164 (ITU-T); an extension, which E.164 has no room for, is taken off."""
    if not text:
        return "", ""
    match = _PHONE.fullmatch(text) if len(text) <= MAX_PHONE_TEXT else None
    if match is None:
        raise _Unusable("not a phone number")
    number = _e164(match[1], region)
    if number is None and match[1].startswith("00"):
        number = _e164("+" + match[1][2:], region)
    if number is None:
        abroad = match[1].startswith(("+", "\uff0b", "00"))
        raise _Unusable("not a phone number" if region or abroad else "a phone number without its country code")
    return number, "its extension was taken off" if match[2] else ""


def _e164(text: str, region: str | None) -> str | None:
    """``text`` as E.164, if a number of this length can be dialled from abroad."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return written if _E164.fullmatch(written) else None


def _avatar_url(text: str) -> tuple[str, str]:
    """An absolute http(s) address with a host: LiveDesk's server will fetch it."""
    if len(text) > MAX_URL:
        raise _Unusable(f"longer than {MAX_URL} characters")
    if text and (_UNPRINTABLE.search(text) or not _URL.fullmatch(text)):
        raise _Unusable("not an http(s) address")
    return text, ""
