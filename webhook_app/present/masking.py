"""Masks personal data: recognisable to those who know it, and no more."""

import re
from dataclasses import replace
from typing import Any

from worker.model import ATTRIBUTE_FIELDS, PERSONAL_FIELDS, Attribute, Contact

PHONE = re.compile(r"\+\d{6,}")
HIDDEN = "***"


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
    return replace(contact, **hidden)
