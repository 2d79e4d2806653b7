"""Sample deliveries to test a source: its preset's, or made up from its mapping.

A sample is made unique, so that each creates a new contact and is not a duplicate of the last one.
"""

import copy
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from webhook_app.sources.body.reader import FORMATS, format_name, parse_json
from webhook_app.sources.delivery import Delivery
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.mapping import Mapping as ContactMapping
from webhook_app.sources.mapping.paths import Path as JsonPath
from webhook_app.sources.mapping.people import Named, PersonId
from webhook_app.sources.mapping.values import FirstOf, Prefixed, Rule
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.source import Source
from worker.errors import SyncError
from worker.model import Contact

#: One folder for each preset, with one file for each event.
SAMPLES = Path(__file__).parent / "presets" / "samples"
#: The boundary of a multipart body.
BOUNDARY = "livedesk-sync-sample"
#: In a sample, the beginning of a value that is different in each delivery.
PLACEHOLDER = "<"
#: Area codes for phone numbers that end in 555-01xx, which are reserved for fiction.
AREAS = ("202", "281", "303", "312", "415", "512", "617", "808")

Steps = tuple[str | int, ...]


class NoSample(SyncError):
    """There is no sample to send; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An unsigned delivery; ``body`` is text, bytes, or data to be encoded."""

    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        kind = format_name(self.headers.get("Content-Type", ""))
        if kind == "multipart":
            return _multipart(self.body)
        if kind == "form":
            return urlencode(list(_flat(self.body))).encode()
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    def put(self, steps: Steps, value: object) -> "Sample":
        """Return a copy with another value at this place, or in this form field.

        Raises:
            NoSample: the body is not data.
        """
        if isinstance(self.body, str) and format_name(self.headers.get("Content-Type", "")) == "form":
            return replace(self, body=urlencode({**dict(_pairs(self.body)), _field_name(steps): str(value)}))
        if not isinstance(self.body, dict | list) or not steps:
            raise NoSample("the body has no fields to change")
        body = copy.deepcopy(self.body)
        _put(body, steps, value)
        return replace(self, body=body)


def sample_of(source: Source) -> Sample:
    """Return the preset's sample, if it is a signup, or a made-up contact.

    Raises:
        NoSample: there is no sample, and none can be made up.
    """
    if source.preset is not None:
        sample = read_sample(source.preset)
        if contact_in(source, sample) is not None:
            return sample
    made_up = _made_up(source)
    if made_up is None:
        raise NoSample("No sample creates a contact with the mapping of this source. Provide one with --body FILE")
    return made_up


def sample_files(preset: str) -> dict[str, Path]:
    """Return the files with a preset's samples by event, the signup first."""
    files = {file.stem: file for file in sorted((SAMPLES / preset.replace("-", "_")).glob("*.json"))}
    main = PRESETS[preset].get("sample")
    return {main: files[main], **files} if main in files else files


def read_sample(preset: str, event: str | None = None) -> Sample:
    """Return a preset's sample of an event, by default the signup.

    It has no headers that differ in each delivery.

    Raises:
        NoSample: its file is missing.
    """
    files = sample_files(preset)
    if not files:
        raise NoSample(f"The sample of the preset {preset} is not installed. Provide one with --body FILE")
    event = event.replace("/", "_") if event is not None else None  # Shopify's customers/update is a file here
    if event is not None and event not in files:
        raise NoSample(f"The preset {preset} has no sample of {event!r}, but of {', '.join(files)}")
    file = files[event] if event is not None else next(iter(files.values()))
    document = json.loads(file.read_text(encoding="utf-8"))
    headers = {name: value for name, value in document["headers"].items() if PLACEHOLDER not in value}
    if document["headers"].get("Content-Type", "").startswith("multipart/"):
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    return Sample(document["body"], headers)


def contact_in(source: Source, sample: Sample) -> Contact | None:
    """Return the contact that a source reads from a sample, or the first of a batch."""
    with suppress(SyncError):
        readings = source.read_payload(payload_of(source, sample), sample.headers)
        found = readings if isinstance(readings, list) else [readings]
        return next((reading.contact for reading in found if reading), None)
    return None


def unique(source: Source, sample: Sample, identifier: str | None = None) -> Sample | None:
    """Return the sample as a new person's, with this identifier or a new one.

    ``None``: the identifier is not in the body as it is, so we cannot replace it.
    """
    contact = contact_in(source, sample)
    if contact is None:
        return None
    changed = replace(sample, body=_changed(sample.body, _other_person(source, contact, identifier)))
    found = contact_in(source, changed)
    return changed if found is not None and found.identifier != contact.identifier else None


def _other_person(source: Source, contact: Contact, identifier: str | None) -> Callable[[str], str]:
    """Return a function that replaces the person in a text: id, e-mail, phone."""
    rule = source.mapping.rules["identifier"]
    prefix = rule.prefix if isinstance(rule, Prefixed) and isinstance(rule.prefix, str) else ""
    old_id, new_id = contact.identifier.removeprefix(source.id_prefix).removeprefix(prefix), identifier
    if new_id is None:
        new_id = str(10**11 + secrets.randbelow(10**11)) if old_id.isdecimal() else f"test-{secrets.token_hex(6)}"
    old_email = re.compile(re.escape(contact.email or ""), re.IGNORECASE)
    new_email = f"test-{secrets.token_hex(6)}@example.com"
    digits = (contact.phone_number or "").removeprefix("+")
    new_phone = f"+1{secrets.choice(AREAS)}55501{secrets.randbelow(100):02}"

    def change(text: str) -> str:
        if text in (old_id, contact.identifier):
            return new_id
        if text.endswith(f"/{old_id}"):  # the path of a resource
            return text.removesuffix(old_id) + new_id
        if digits and _is_phone(text, digits):
            return new_phone
        return old_email.sub(new_email, text) if contact.email else text

    return change


def payload_of(source: Source, sample: Sample) -> object:
    """Return what the source will read; claims become a token when signed."""
    with suppress(SyncError):
        if "jwt" in source.reader.formats:
            return parse_json(sample.encoded())
        return source.reader.read(Delivery(sample.headers, sample.encoded()))
    return None


def _made_up(source: Source) -> Sample | None:
    """Return a contact in the simplest form that the mapping accepts."""
    sample = Sample({}, {"Content-Type": _content_type(source)})
    fields = {"identifier": "test", "name": "Test Signup", "email": "test@example.com"}
    try:
        for place, value in [*_required(source.mapping), *_wanted(source.mapping, fields)]:
            sample = sample.put(place, value)
    except NoSample:
        return None
    return sample if contact_in(source, sample) else None


def _paths(rule: Rule) -> Iterator[JsonPath]:
    match rule:
        case JsonPath():
            yield rule
        case FirstOf(rules=rules):
            for alternative in rules:
                yield from _paths(alternative)
        case Prefixed(rule=inner):
            yield from _paths(inner)
        case Named(names=names, place=None):
            yield compile_path(names[0])
        case PersonId():
            yield compile_path("id")


def _content_type(source: Source) -> str:
    kind = source.reader.formats[0]
    return f"multipart/form-data; boundary={BOUNDARY}" if kind == "multipart" else FORMATS[kind].types[0]


def _required(mapping: ContactMapping) -> Iterator[tuple[Steps, object]]:
    """Yield what makes a delivery a signup."""
    for condition in mapping.only_if:
        if isinstance(condition.place, JsonPath) and condition.place.steps and condition.allowed:
            yield condition.place.steps, condition.allowed[0]


def _wanted(mapping: ContactMapping, fields: Mapping[str, str]) -> Iterator[tuple[Steps, object]]:
    for name, value in fields.items():
        path = next(_paths(mapping.rules[name]), None) if name in mapping.rules else None
        place = mapping.places[0]
        before = place.steps if isinstance(place, JsonPath) else ()
        if path is not None and path.steps is not None and before is not None:
            yield before + path.steps, value


def _is_phone(text: str, digits: str) -> bool:
    """Whether this is the number, with or without its country code."""
    found = re.sub(r"[\s()+.-]", "", text)
    return len(found) >= 7 and found.isdecimal() and digits.endswith(found)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """Return the body with every text changed, also in forms and JSON inside texts."""
    match value:
        case dict():
            return {name: _changed(member, change) for name, member in value.items()}
        case list():
            return [_changed(member, change) for member in value]
        case bool():
            return value
        case int():
            changed = change(str(value))
            return int(changed) if changed.isdecimal() else value if changed == str(value) else changed
        case str() if value.startswith("{"):
            with suppress(ValueError):
                return json.dumps(_changed(json.loads(value), change))
        case str() if pairs := _pairs(value):
            return urlencode([(name, change(text)) for name, text in pairs])
        case str():
            return change(value)
    return value


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the fields of a form; none if it is not a form."""
    try:
        return parse_qsl(text, keep_blank_values=True, strict_parsing=True) if "=" in text and "&" in text else []
    except ValueError:
        return []


def _put(body: Any, steps: Steps, value: object) -> None:
    *before, last = steps
    try:
        for step in before:
            body = body.setdefault(step, {}) if isinstance(body, dict) else body[step]
        body[last] = value
    except (KeyError, IndexError, TypeError):
        raise NoSample("the body has no such path") from None


def _flat(body: Mapping[str, Any], before: Steps = ()) -> Iterator[tuple[str, str]]:
    """Yield the fields of a form, nested ones with brackets."""
    for name, value in body.items():
        if isinstance(value, dict):
            yield from _flat(value, (*before, name))
        else:
            yield _field_name((*before, name)), str(value)


def _field_name(steps: Steps) -> str:
    first, *others = steps
    return f"{first}{''.join(f'[{step}]' for step in others)}"


def _multipart(body: Mapping[str, Any]) -> bytes:
    parts = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in _flat(body)
    )
    return "".join([*parts, f"--{BOUNDARY}--\r\n"]).encode()
