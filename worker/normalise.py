"""Normalise what a sender wrote into a ``Contact`` and notes about changes.

A contact is never lost because of an optional field: what LiveDesk would refuse is left out and noted. Only the
identifier, and an inbox that the delivery itself names, can make a delivery unmappable. Notes and problems are fixed
sentences that never repeat a value.
"""

import html
import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from worker.attributes import read_attributes
from worker.characters import strip, without_invisible, without_invisible_in_name
from worker.errors import Unmappable
from worker.model import ATTRIBUTE_FIELDS, CONTACT_FIELDS, PERSONAL_FIELDS, Contact, Event, Note, NoteCode, Signup
from worker.phone_numbers import NotAPhoneNumber, country_of, is_e164, to_e164
from worker.placeholders import has_template, is_placeholder, without_placeholders

#: Characters; the limit of LiveDesk's text columns (livedesk-api 2.1).
MAX_TEXT = 255
#: Characters; our own limit, because LiveDesk downloads the picture and stores no URL (livedesk-api 2.5).
MAX_URL = 2048
#: LiveDesk's inbox ids are 32-bit integers.
MAX_INBOX_ID = 2**31 - 1
NO_EVENT = Event()
NOTHING: frozenset[str] = frozenset()
#: The longest integer that Python converts to text whatever its limit is set to (``sys.int_info``).
_LONGEST_INTEGER = 10**640

#: NUL makes LiveDesk answer 500 every time; half a surrogate pair cannot be encoded as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: The same without white space, plus the bidirectional controls, which can disguise a name.
_NOT_IN_A_NAME = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: LiveDesk's own rule (livedesk-api 2.1), without what can be no mailbox or host (RFC 5321).
_LABEL = r"[^\x00-,./:-@\[-^`{-\x7f\s]+"
_EMAIL = re.compile(rf"[^@\s:;,<>()\[\]\\\"]+@(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])")
#: Most addresses, in lower case; nothing has to be removed from them.
_PLAIN_EMAIL = re.compile(r"[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_NAMED_EMAIL = re.compile(r"[^<>]*<([^<>]*)>")
#: A link in Markdown, whose text is the address again.
_LINKED_EMAIL = re.compile(r"\[[^\[\]]*\]\((mailto:[^()]*)\)", re.IGNORECASE)
#: An address in brackets, and a comment after one (RFC 5322).
_BRACKETED_EMAIL = re.compile(r"\((.*)\)|\[(.*)\]|\{(.*)\}")
#: What is written before an address: the schemes of links, of WebFinger and of Exchange, or what it is.
_SCHEME = re.compile(r"(?:mailto|acct|smtp|sips?|xmpp|im|e-?mail)\s*:\s*(?://)?", re.IGNORECASE)
_COMMENT = re.compile(r"\s*\([^()@]*\)\Z|\A\([^()@]*\)\s*")
#: What is behind an address in a link, and in a sentence; no host has it.
_IN_A_LINK, _AT_THE_END = re.compile("[?|]"), "!/*\u2026"
#: A domain that a program wrote for a missing address.
_NO_DOMAINS = ("@undefined", "@null", "@none", "@nan")
#: What is written around an address, beside white space.
_AROUND_AN_EMAIL = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb<>.,;: "
#: The ASCII characters of East Asian keyboards, and their dot.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3002: ord("."), 0xFF61: ord(".")}
_URL = re.compile(
    r"[hH][tT][tT][pP][sS]?://(?:[^\s/?#@\\]*@)?(?:\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]\\]+)(?::[0-9]{1,5})?(?:[/?#]\S*)?"
)
#: Most URLs, which need no other check.
_PLAIN_URL = re.compile(r"https?://[a-z0-9.-]+(?:/[a-zA-Z0-9_./~?=&-]*)?")
_INBOX_ID = re.compile("[0-9]{1,10}")


class _Unusable(Exception):
    """A value cannot be used. The text says why and does not repeat it."""


def normalise(
    raw: Mapping[str, object],
    *,
    region: str | None = None,
    inbox_id: int | None = None,
    id_prefix: str = "",
    allow_identifiers: Collection[str] = (),
    html_entities: bool = False,
    strict: bool = False,
    event: Event = NO_EVENT,
) -> Signup:
    """Return the contact that ``raw`` describes, with notes about changes.

    ``raw`` maps names of ``Contact``'s fields to what the sender wrote. ``None`` and blank text mean that the person
    has no value, so that the field is cleared; a name that is missing means nothing. Of other names, ``country`` is the
    country of a phone number without a country code, and ``email_verified`` whether the address is known to be the
    person's. ``region`` (ISO 3166-1, two capital letters) is the country if the delivery names none; ``inbox_id`` is
    the inbox of a delivery that names none; ``id_prefix`` precedes the identifier; ``allow_identifiers`` are
    identifiers that look like placeholders. With ``html_entities`` the sender escapes texts for HTML. ``event`` is what
    happened.

    Raises:
        Unmappable: the identifier or the inbox is invalid; with ``strict``, any field is.
    """
    place = region if raw.get("country") is None else _country(raw["country"], region)
    written = _unescaped(raw) if html_entities else raw
    values, problems, notes, cleared = _read(written, place, strict=strict)
    for kind in ATTRIBUTE_FIELDS:
        if kind in written:
            found = read_attributes(kind, written[kind])
            values[kind] = found.values or None
            cleared += found.cleared
            notes += found.notes
    if identifier := values["identifier"]:
        values["identifier"] = id_prefix + identifier
        if problem := _identifier_problem(identifier, id_prefix, allow_identifiers):
            problems["identifier"] = problem
    if problems:
        raise Unmappable(problems)
    values["inbox_id"] = values["inbox_id"] or inbox_id
    contact = Contact(*values.values())
    is_unverified = raw.get("email_verified") is False
    return Signup(contact, tuple(notes), is_unverified, frozenset(cleared) if cleared else NOTHING, event)


def _read(
    written: Mapping[str, object], place: str | None, *, strict: bool
) -> tuple[dict[str, Any], dict[str, str], list[Note], list[str]]:
    """Return values, problems and notes, and the fields without a value."""
    values: dict[str, Any] = dict.fromkeys(CONTACT_FIELDS)
    problems: dict[str, str] = {}
    notes: list[Note] = []
    cleared: list[str] = []
    for field, (read, is_optional) in READERS.items():
        value = written.get(field)
        if value is None and field != "identifier":
            if is_optional and field in written:
                cleared.append(field)
            continue
        try:
            found, remark = read(value, place)
        except _Unusable as reason:
            if strict or not is_optional:
                problems[field] = str(reason)
            notes.append(Note(field, f"left out: {reason}", NoteCode.LEFT_OUT))
            continue
        if found:
            values[field] = found
        elif is_optional:
            cleared.append(field)
        if remark:
            notes.append(Note(field, remark, NoteCode.ALTERED))
    return values, problems, notes, cleared


def _identifier_problem(identifier: str, prefix: str, allowed: Collection[str]) -> str:
    if is_placeholder(identifier, allowed):
        return "a placeholder, not an id"
    too_long = len(prefix) + len(identifier) > MAX_TEXT
    return f"longer than {MAX_TEXT} characters with its prefix" if too_long else ""


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


def is_usable_identifier(value: object, allowed: Collection[str] = ()) -> bool:
    """Whether this can be an identifier: a number or text, and not a placeholder."""
    text = as_text(value)
    return text is not None and (text := strip(text)) != "" and not is_placeholder(text, allowed)


def _country(country: object, region: str | None) -> str | None:
    """Return the region of the delivery's country, or ``region`` if it names none.

    An unknown country is ``""``: a number without a country code may be from anywhere.
    """
    if isinstance(country, str) and not strip(country):
        return region
    return country_of(strip(country) if isinstance(country, str) else country) or ""


def _unescaped(raw: Mapping[str, object]) -> Mapping[str, object]:
    """Return the fields with their entities decoded, once."""
    return {name: _decoded(value) if name in PERSONAL_FIELDS else value for name, value in raw.items()}


def _decoded(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: html.unescape(one) if isinstance(one, str) else one for name, one in value.items()}
    return html.unescape(value) if isinstance(value, str) else value


def _identifier(value: object, _region: str | None) -> tuple[str, str]:
    """The identifier as the sender wrote it: two spellings are two contacts."""
    text = "" if value is None else as_text(value)
    if text is None:
        raise _Unusable("neither text nor an exact number")
    text = strip(text)
    if not text:
        raise _Unusable("missing")
    if len(text) > MAX_TEXT:
        raise _Unusable(f"longer than {MAX_TEXT} characters")
    if not text.isprintable() and _UNPRINTABLE.search(text):
        raise _Unusable("contains control characters or half a surrogate pair")
    return text, ""


def _inbox_id(value: object, _region: str | None) -> tuple[int | None, str]:
    text = as_text(value)
    text = None if text is None else strip(text)
    if text == "":
        return None, ""
    if text is None or not _INBOX_ID.fullmatch(text) or not 0 < int(text) <= MAX_INBOX_ID:
        raise _Unusable("not an inbox id")
    return int(text), ""


def _name(value: object, _region: str | None) -> tuple[str, str]:
    """Collapse white space, remove what is invisible or no name, and cut to the limit."""
    clean = text = _text(value)
    if not text:
        return "", ""
    remark = ""
    if not (text.isascii() and text.isprintable() and "  " not in text):
        clean = without_invisible_in_name(_NOT_IN_A_NAME.sub("", text))
        remark = "" if len(clean) == len(text) else "control characters removed"
        clean = " ".join(clean.split())
    if len(clean) > 2 and clean[0] in "\"'\u201c" and clean[-1] in "\"'\u201d":
        clean = strip(clean[1:-1])
    if not clean:
        return "", remark
    name = without_placeholders(clean)
    if not name:
        raise _Unusable("a placeholder, not a name")
    if len(name) > MAX_TEXT:
        return name[:MAX_TEXT].rstrip(), f"cut to {MAX_TEXT} characters"
    return name, remark if name == clean else "placeholders removed"


def _email(value: object, _region: str | None) -> tuple[str, str]:
    """The address in lower case, without the name in ``Alice <a@b.c>``."""
    text = _text(value)
    if not text:
        return "", ""
    email = text.lower()
    if not (text.isascii() and _PLAIN_EMAIL.fullmatch(email)):
        if "@" in text and has_template(text):
            raise _Unusable("a placeholder, not an e-mail address")
        text = _bare_email(without_invisible(text).translate(_FULL_WIDTH))
        if _UNPRINTABLE.search(text) or not _EMAIL.fullmatch(text):
            raise _Unusable("not an e-mail address")
        email = text.lower()
    if len(email) > MAX_TEXT:
        raise _Unusable(f"longer than {MAX_TEXT} characters")
    if email.endswith(_NO_DOMAINS):
        raise _Unusable("a placeholder, not an e-mail address")
    return email, ""


def _bare_email(text: str) -> str:
    """Return an address without a name, a link, quotes or a full stop around it."""
    if match := _LINKED_EMAIL.fullmatch(text) or _NAMED_EMAIL.fullmatch(text):
        text = match[1]
    text = text.strip(_AROUND_AN_EMAIL)
    if match := _BRACKETED_EMAIL.fullmatch(text):
        text = match[match.lastindex or 0].strip(_AROUND_AN_EMAIL)
    text = _COMMENT.sub("", text)
    if match := _SCHEME.match(text):
        text = unquote(text[match.end() :])
    mailbox, at, host = text.partition("@")
    host = _IN_A_LINK.split(host, maxsplit=1)[0].rstrip(_AT_THE_END)
    return (mailbox + at + host).strip(_AROUND_AN_EMAIL)


def _phone_number(value: object, region: str | None) -> tuple[str, str]:
    """The number in E.164 (ITU-T), which has no extension."""
    text = _text(value)
    if not text or is_e164(text):
        return text, ""
    try:
        return to_e164(without_invisible(text), region or None)
    except NotAPhoneNumber as reason:
        problem = str(reason)
    if region == "" and problem.endswith("without a country code"):
        problem += ", and the delivery names an unknown country"
    raise _Unusable(problem)  # raised here so that it has no context: the other error may contain the number


def _avatar_url(value: object, _region: str | None) -> tuple[str, str]:
    """An absolute http(s) URL with a host: LiveDesk's server downloads it."""
    text = _text(value)
    if len(text) > MAX_URL:
        raise _Unusable(f"longer than {MAX_URL} characters")
    if (
        text
        and not _PLAIN_URL.fullmatch(text)
        and (_UNPRINTABLE.search(text) or not _URL.fullmatch(text) or has_template(text))
    ):
        raise _Unusable("not an http(s) URL")
    return text, ""


def _text(value: object) -> str:
    """Return the text of an optional field without surrounding white space."""
    if not isinstance(value, str):
        text = None if isinstance(value, Decimal) else as_text(value)
        if text is None:
            raise _Unusable("not text")
        value = text
    return value.strip() if value.isascii() else strip(value)


#: Each returns a field's value, if there is one, and a remark: from what the sender wrote, and the region of a phone
#: number without a country code. Or it raises ``_Unusable``. With it is whether the field can be left out.
READERS: dict[str, tuple[Callable[[object, str | None], tuple[str | int | None, str]], bool]] = {
    name: (read, CONTACT_FIELDS[name].is_optional)
    for name, read in {
        "identifier": _identifier,
        "inbox_id": _inbox_id,
        "name": _name,
        "email": _email,
        "phone_number": _phone_number,
        "avatar_url": _avatar_url,
    }.items()
}
