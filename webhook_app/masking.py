"""Personal data made fit to be shown to whoever may not, or need not, see them."""

import re

PHONE = re.compile(r"\+\d{6,}")
HIDDEN = "\u2026"


def masked(field: str, value: str) -> str:
    """Enough of a value to tell people apart, not enough to reach one: ``a…@example.com``, ``+49…78``, ``A… L…``."""
    if field == "name":
        return " ".join(f"{word[0]}{HIDDEN}" for word in value.split())
    if field == "avatar_url":
        return f"{'/'.join(value.split('/')[:3])}/{HIDDEN}".rpartition("@")[2]
    if "@" in value:
        person, _, host = value.rpartition("@")
        return f"{person[:1]}{HIDDEN}@{host}"
    if field == "phone_number" or PHONE.fullmatch(value):
        return f"{value[:3]}{HIDDEN}{value[-2:]}"
    return value
