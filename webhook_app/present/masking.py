"""Personal data made fit to be shown to whoever may not, or need not, see them."""

import re
from dataclasses import asdict, replace
from typing import Any

from worker.model import Contact

PHONE = re.compile(r"\+\d{6,}")
HIDDEN = "***"


def masked(field: str, value: str) -> str:
    """Just enough of a value to be recognised by who knows it: ``a***@e***.com``, ``+49***78``, ``A*** L***``.

    An identifier is masked where it is an e-mail address or a phone number.
    """
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


def mask(contact: Contact) -> Contact:
    """The same contact with just enough left to be recognised by who knows it; the identifier stays."""
    given = asdict(contact).items()
    texts = {name: value for name, value in given if isinstance(value, str) and name != "identifier"}
    hidden: dict[str, Any] = {name: masked(name, value) for name, value in texts.items()}
    return replace(contact, **hidden)
