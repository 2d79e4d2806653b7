"""Masks personal data: recognisable to those who know it, and no more.

Fields are masked by their name. Text that LiveDesk, a sender or a person wrote is masked by what looks like an address
or a number, and by the values of the contact that it is about.
"""

import re
from functools import partial
from typing import Any

from msgspec import structs

from worker.model import ATTRIBUTE_FIELDS, PERSONAL_FIELDS, Attribute, Contact

PHONE = re.compile(r"\+\d{6,}")
HIDDEN = "***"
#: ``@`` as text, URLs, JSON and HTML write it, also full-width and small.
AT = r"(?:[@\uff20\ufe6b]|%40|\\u0040|&#64;|&#x40;|&commat;)"
#: What ends an address in a sentence, in JSON, in HTML and in a URL.
END = r"\s<>\"'(),;:\[\]{}=&?/\\|@\uff20\ufe6b"
ADDRESS = re.compile(rf"(?:\"[^\"\n]{{1,64}}\"|[^{END}]*?){AT}[^{END}]+", re.IGNORECASE)
SPLIT = re.compile(AT, re.IGNORECASE)
#: Digits with what people write between them, in any script; but not an id in our own words.
DIGITS = re.compile(r"(?<!LiveDesk contact )(?<![\w.])[+\uff0b]?\(?\d[\d\s()./\-\u2010-\u2015]{4,22}\d(?!\w)")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
#: The fewest digits of a phone number, the fewest without any sign of one, and the shortest value to look for in text.
MIN_DIGITS, MIN_BARE_DIGITS, MIN_VALUE = 7, 9, 3


def masked(field: str, value: str) -> str:
    """Return ``a***@e***.com``, ``+49***78`` or ``A*** L***``; other ids unchanged."""
    if field == "name":
        return " ".join(word[0] + HIDDEN for word in value.split())
    if field == "avatar_url":
        return re.sub(r"^(\w+://).*", rf"\1{HIDDEN}", value, flags=re.DOTALL)
    if "@" in value:
        name, _, host = value.rpartition("@")
        end = host.rpartition(".")[2] if "." in host else ""
        return f"{name[:1]}{HIDDEN}@{host[:1]}{HIDDEN}" + (f".{end}" if end else "")
    if field == "phone_number" or PHONE.fullmatch(value):
        return f"{value[:3]}{HIDDEN}{value[-2:]}"
    return value


def masked_text(text: str, contact: Contact | None = None) -> str:
    """Return text of LiveDesk, a sender or a person without anybody's data.

    ``contact`` is the one that it is about: its own values are masked, also those that look like any other word.
    """
    for value, hidden in _values(contact):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", partial(_always, hidden), text, flags=re.IGNORECASE)
    if SPLIT.search(text):
        text = ADDRESS.sub(lambda found: _masked_address(found[0]), text)
    return DIGITS.sub(lambda found: _masked_number(found[0]), text)


def _values(contact: Contact | None) -> list[tuple[str, str]]:
    """Return a contact's values and the words of its name, masked; the longest first."""
    if contact is None:
        return []
    found = {contact.identifier: masked("identifier", contact.identifier)}
    for name in PERSONAL_FIELDS:
        value = getattr(contact, name)
        if name in ATTRIBUTE_FIELDS:
            found |= {each: masked_attribute(each) for each in (value or {}).values() if isinstance(each, str)}
        elif isinstance(value, str):
            found[value] = masked(name, value)
    found |= {word: masked("name", word) for word in (contact.name or "").split()}
    long_enough = [(value, hidden) for value, hidden in found.items() if len(value) >= MIN_VALUE and value != hidden]
    return sorted(long_enough, key=lambda pair: len(pair[0]), reverse=True)


def _always(text: str, _: re.Match[str]) -> str:
    return text


def _masked_address(text: str) -> str:
    name, host = SPLIT.split(text, maxsplit=1)
    return masked("email", f"{name}@{host}")


def _masked_number(text: str) -> str:
    needed = MIN_BARE_DIGITS if text.isdecimal() else MIN_DIGITS
    if sum(map(str.isdecimal, text)) < needed or DATE.match(text):
        return text
    return f"{text[:3]}{HIDDEN}{text[-2:]}"


def masked_attribute(value: Attribute) -> str:
    """Return ``p***`` or ``a***@e***.com``; nothing of a number, or of true and false."""
    if not isinstance(value, str):
        return HIDDEN
    shown = masked("attribute", value)
    return shown if shown != value else f"{value[:1]}{HIDDEN}"


def mask(contact: Contact) -> Contact:
    """Return the contact with its personal fields masked. The identifier is unchanged."""
    values = {name: getattr(contact, name) for name in PERSONAL_FIELDS}
    hidden: dict[str, Any] = {
        name: {each: masked_attribute(one) for each, one in value.items()}
        if name in ATTRIBUTE_FIELDS
        else masked(name, value)
        for name, value in values.items()
        if value
    }
    return structs.replace(contact, **hidden)
