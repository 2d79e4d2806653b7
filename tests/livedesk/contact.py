"""One contact as the stand-in stores it: fields, Rails' casts, validations.

Source of every rule: livedesk-api.md 2.1 (what is permitted, the validations) and 2.3 (their messages).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]

MAX_LENGTH = 255
"""The limit of string columns, in characters (2.1)."""

TEXTS = ("name", "email", "phone_number", "identifier")
"""The string columns in the order of the table, which is the order of the "too long" messages."""

HASHES = ("additional_attributes", "custom_attributes")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+", re.ASCII)
PHONE = re.compile(r"\+[1-9]\d{1,14}\Z", re.ASCII)
"""Not anchored at the start: ``tel:+8613...`` passes in 4.10 (2.1)."""

UNIQUE = ("email", "identifier", "phone_number")
"""The unique columns in the order of their validations; e-mails are stored in lower case, the others unchanged."""

FORMATS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "email": ("email", EMAIL.fullmatch),
    "phone_number": ("phone", PHONE.search),
}
FALSE = (False, 0, "", "0", "f", "F", "false", "FALSE", "off", "OFF")

MESSAGES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "taken": "has already been taken",
        "too_long": "is too long (maximum is 255 characters)",
        "email": "Invalid email",
        "phone": "should be in e164 format",
    },
    "de": {
        "taken": "ist bereits vergeben",
        "too_long": "ist zu lang (mehr als 255 Zeichen)",
        "email": "Ungültige E-Mail-Adresse",
        "phone": "muss im E.164-Format sein",
    },
    "zh": {
        "taken": "已经被使用",
        "too_long": "过长(最长为 255 个字符)",
        "email": "电子邮件无效",
        "phone": "应为 e164 格式",
    },
}
"""The message of a fault, by language. The attribute's name before it stays English, as in Chatwoot."""


@dataclass(frozen=True, slots=True)
class Link:
    """One row of contact_inboxes: the contact's ``source_id`` in this inbox."""

    inbox_id: int
    source_id: str
    channel: str = "Channel::Api"


@dataclass(frozen=True, slots=True)
class Contact:
    """One row of contacts. ``created_at`` is in seconds since the epoch.

    An omitted name is "", a null one ``None``.
    """

    id: int
    created_at: float
    name: str | None = ""
    email: str | None = None
    phone_number: str | None = None
    identifier: str | None = None
    blocked: bool = False
    additional_attributes: Json = field(default_factory=dict)
    custom_attributes: Json = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    avatar_url: str | None = None
    """The address that was sent last; no answer shows it (2.5)."""
    online: bool = False
    other_emails: tuple[str, ...] = ()
    """Further addresses, which later versions of Chatwoot keep, search and do not show in lists."""

    @property
    def company(self) -> str:
        """The ``company_name`` of the attributes, which searches compare too (2.6)."""
        return text_of(self.additional_attributes.get("company_name")) or ""

    @property
    def is_resolved(self) -> bool:
        """Whether lists and searches show it (2.6)."""
        return bool(self.email or self.phone_number or self.identifier)

    @property
    def is_lead(self) -> bool:
        """Whether it has more than an identifier; ``crm_v2`` hides the others (2.6)."""
        return bool(self.email or self.phone_number)


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed validation: the attribute and its entry in ``MESSAGES``."""

    attribute: str
    kind: str

    def message(self, language: str = "en") -> str:
        return f"{self.attribute.replace('_', ' ').capitalize()} {MESSAGES[language][self.kind]}"


def text_of(value: object) -> str | None:
    """Return the value as a string column stores it.

    Rails casts ``true`` to "t" and numbers to their digits.
    """
    if isinstance(value, bool):
        return "t" if value else "f"
    return value if value is None or isinstance(value, str) else str(value)


def is_blank(value: object) -> bool:
    """Rails' ``blank?``: null, false, empty, or nothing but space."""
    return not value.strip() if isinstance(value, str) else value is None or value is False or value in ([], {})


def whole_number(value: object) -> int:
    """Return an id as Ruby reads it: a number, or the leading digits of a string.

    0 without any.
    """
    if isinstance(value, float):
        return int(value) if abs(value) < 1e18 else 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = re.match(r"\s*([+-]?[0-9]{1,18})(?![0-9])", value) if isinstance(value, str) else None
    return int(digits[1]) if digits else 0


def contact_of(row: Json) -> Contact:
    """Return the contact that ``dataclasses.asdict`` made this of."""
    links, emails = tuple(Link(**link) for link in row["links"]), tuple(row.get("other_emails", ()))
    return Contact(**{**row, "links": links, "other_emails": emails})


def permitted(params: Mapping[str, object]) -> Json:
    """Return what create and update accept of a request, cast.

    Other keys are ignored (2.1).
    """
    wanted: Json = {
        key: text_of(params[key]) for key in TEXTS if key in params and not isinstance(params[key], dict | list)
    }
    wanted |= {key: value for key in HASHES if isinstance(value := params.get(key), dict)}
    if "blocked" in params and not isinstance(params["blocked"], dict | list):
        wanted["blocked"] = params["blocked"] is not None and params["blocked"] not in FALSE
    if "email" in wanted:
        wanted["email"] = None if is_blank(wanted["email"]) else wanted["email"].lower()
    if not is_blank(params.get("avatar_url")) and isinstance(params["avatar_url"], str):
        wanted["avatar_url"] = params["avatar_url"]
    return wanted


def changed(contact: Contact, wanted: Json) -> Contact:
    """Return the contact with these fields.

    Attributes are merged key by key, and one that is null is stored as null: Ruby's ``merge``, in the update of
    ``contacts_controller.rb``. Only ``destroy_custom_attributes`` removes one, which LiveDesk's pages do not have. The
    rest is replaced (2.8).
    """
    merged = {key: getattr(contact, key) | wanted[key] for key in HASHES if key in wanted}
    return replace(contact, **(wanted | merged))


def deep_merged(low: Json, high: Json) -> Json:
    """Return both; where both have a value, that of ``high`` counts, at any depth."""
    both = low | high
    for key in low.keys() & high.keys():
        if isinstance(low[key], dict) and isinstance(high[key], dict):
            both[key] = deep_merged(low[key], high[key])
    return both


def faults_of(contact: Contact, is_taken: Callable[[str, str], bool]) -> list[Fault]:
    """Return every failed validation in Chatwoot's order.

    ``is_taken(attribute, value)`` checks other contacts.
    """
    faults = [Fault(name, "too_long") for name in TEXTS if len(getattr(contact, name) or "") > MAX_LENGTH]
    for name in UNIQUE:
        value = getattr(contact, name)
        if is_blank(value):
            continue
        if is_taken(name, value):
            faults.append(Fault(name, "taken"))
        if name in FORMATS and not FORMATS[name][1](value):
            faults.append(Fault(name, FORMATS[name][0]))
    return faults


def is_storable(value: object) -> bool:
    """Whether the database accepts it: no NUL, no lone surrogate, at any depth (3.3)."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict):
        return all(is_storable(key) and is_storable(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(is_storable, value))
