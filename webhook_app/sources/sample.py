"""A delivery to try a source with: the sample of its preset, or one made up in the words of its mapping.

It is made unique, so that it is a new contact each time and not a duplicate of the last one.
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
from webhook_app.sources.mapping.mapping import FirstOf, Prefixed, Rule
from webhook_app.sources.mapping.mapping import Mapping as ContactMapping
from webhook_app.sources.mapping.paths import Path as JsonPath
from webhook_app.sources.mapping.paths import Scope, is_usable
from webhook_app.sources.source import Source
from worker.errors import SyncError
from worker.model import Contact

#: One file for each preset.
SAMPLES = Path(__file__).parent / "presets" / "samples"
#: Parts a multipart body.
BOUNDARY = "livedesk-sync-sample"
#: What an example says where the sender puts in something of its own.
PLACEHOLDER = "<"
#: Area codes for telephone numbers of which the end, 555-01xx, is set aside for fiction.
AREAS = ("202", "281", "303", "312", "415", "512", "617", "808")

Steps = tuple[str | int, ...]


class NoSample(SyncError):
    """There is nothing to send; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A delivery that is not signed yet. ``body`` is data, to be encoded as the Content-Type says, a text or bytes."""

    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The body as it is sent."""
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
        """The same with another value at this place; in a form, at the field that is called so.

        Raises:
            NoSample: the body is no data.
        """
        if isinstance(self.body, str) and format_name(self.headers.get("Content-Type", "")) == "form":
            return replace(self, body=urlencode({**dict(_pairs(self.body)), _field_name(steps): str(value)}))
        if not isinstance(self.body, dict | list) or not steps:
            raise NoSample("the body has no fields that could be changed")
        body = copy.deepcopy(self.body)
        _put(body, steps, value)
        return replace(self, body=body)


def sample_of(source: Source) -> Sample:
    """What to send to a source: its preset's sample, if that is a signup, or a contact made up.

    Raises:
        NoSample: there is none, and none can be made up.
    """
    if source.preset is not None:
        sample = read_sample(source.preset)
        if contact_in(source, sample) is not None:
            return sample
    made_up = _made_up(source)
    if made_up is None:
        raise NoSample("No sample makes a contact with the mapping of this source. Give one: --body FILE")
    return made_up


def read_sample(preset: str) -> Sample:
    """The sample of a preset, without what is different in each delivery.

    Raises:
        NoSample: its file is not there.
    """
    path = SAMPLES / f"{preset.replace('-', '_')}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise NoSample(f"The sample of the preset {preset} is not installed here. Give one: --body FILE") from None
    headers = {name: value for name, value in document["headers"].items() if PLACEHOLDER not in value}
    if document["headers"].get("Content-Type", "").startswith("multipart/"):
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    return Sample(document["body"], headers)


def contact_in(source: Source, sample: Sample) -> Contact | None:
    """The contact that a source finds in a sample, the first of a batch; ``None`` where there is none."""
    with suppress(SyncError):
        readings = source.read_payload(_payload(source, sample), sample.headers)
        found = readings if isinstance(readings, list) else [readings]
        return next((reading[0] for reading in found if reading), None)
    return None


def unique(source: Source, sample: Sample, identifier: str | None = None) -> Sample | None:
    """The sample as another person's, with this identifier; ``None`` where we cannot tell where the identifier is."""
    contact = contact_in(source, sample)
    if contact is None:
        return None
    for steps in _places_of_identifier(source, sample):
        with suppress(NoSample):
            changed = sample.put(steps, _new_identifier(_walk(_payload(source, sample), steps), identifier))
            found = contact_in(source, changed)
            if found is not None and found.identifier != contact.identifier:
                return replace(changed, body=_with_other_addresses(changed.body, contact))
    return None


def _new_identifier(old: object, wanted: str | None) -> str | int:
    if isinstance(old, int):
        number = wanted if wanted is not None and wanted.isdecimal() else None
        return wanted if wanted is not None and number is None else int(number or 10**11 + secrets.randbelow(10**11))
    return wanted if wanted is not None else f"test-{secrets.token_hex(6)}"


def _places_of_identifier(source: Source, sample: Sample) -> Iterator[Steps]:
    """Where the identifier is, as far as plain paths lead there; in a batch, that of the first signup."""
    payload = _payload(source, sample)
    if not isinstance(payload, list):
        yield from _identifier_in(source.mapping, payload)
        return
    for index, element in enumerate(payload):
        with suppress(SyncError):
            if source.read_element(element, Scope(sample.headers)) is not None:
                yield from ((index, *steps) for steps in _identifier_in(source.mapping, element))


def _identifier_in(mapping: ContactMapping, payload: object) -> Iterator[Steps]:
    for place in mapping.places:
        for path in _paths(mapping.rules["identifier"]):
            if place.steps is not None and path.steps is not None:
                steps = place.steps + path.steps
                if is_usable(_walk(payload, steps)):
                    yield steps


def _paths(rule: Rule) -> Iterator[JsonPath]:
    match rule:
        case JsonPath():
            yield rule
        case FirstOf(rules=rules):
            for alternative in rules:
                yield from _paths(alternative)
        case Prefixed(rule=inner):
            yield from _paths(inner)


def _payload(source: Source, sample: Sample) -> object:
    """What the source will read of it; claims are made a token only when they are signed."""
    with suppress(SyncError):
        if "jwt" in source.reader.formats:
            return parse_json(sample.encoded())
        return source.reader.read(Delivery(sample.headers, sample.encoded()))
    return None


def _made_up(source: Source) -> Sample | None:
    """A contact in the simplest form that the mapping takes."""
    sample = Sample({}, {"Content-Type": _content_type(source)})
    fields = {"identifier": "test", "name": "Test Signup", "email": "test@example.com"}
    try:
        for place, value in [*_demanded(source.mapping), *_wanted(source.mapping, fields)]:
            sample = sample.put(place, value)
    except NoSample:
        return None
    return sample if contact_in(source, sample) else None


def _content_type(source: Source) -> str:
    kind = source.reader.formats[0]
    return f"multipart/form-data; boundary={BOUNDARY}" if kind == "multipart" else FORMATS[kind].types[0]


def _demanded(mapping: ContactMapping) -> Iterator[tuple[Steps, object]]:
    """What must be there for a delivery to be a signup."""
    for condition in mapping.only_if:
        if isinstance(condition.place, JsonPath) and condition.place.steps and condition.allowed:
            yield condition.place.steps, condition.allowed[0]


def _wanted(mapping: ContactMapping, fields: Mapping[str, str]) -> Iterator[tuple[Steps, object]]:
    for name, value in fields.items():
        path = next(_paths(mapping.rules[name]), None) if name in mapping.rules else None
        place = mapping.places[0]
        if path is not None and path.steps is not None and place.steps is not None:
            yield place.steps + path.steps, value


def _with_other_addresses(body: Any, contact: Contact) -> Any:
    """The body with another e-mail address and phone number, for LiveDesk gives no two contacts the same."""
    changes: list[Callable[[str], str]] = []
    if contact.email:
        new_email = f"test-{secrets.token_hex(6)}@example.com"
        old_email = re.compile(re.escape(contact.email), re.IGNORECASE)
        changes.append(lambda text: old_email.sub(new_email, text))
    if contact.phone_number:
        old_digits, new = contact.phone_number.removeprefix("+"), _fictional_phone()
        changes.append(lambda text: new if _is_phone(text, old_digits) else text)
    for change in changes:
        body = _changed(body, change)
    return body


def _fictional_phone() -> str:
    return f"+1{secrets.choice(AREAS)}55501{secrets.randbelow(100):02}"


def _is_phone(text: str, digits: str) -> bool:
    """Whether this is the number, perhaps without the code of its country."""
    found = re.sub(r"[\s()+.-]", "", text)
    return len(found) >= 7 and found.isdecimal() and digits.endswith(found)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """The body with every text in it changed, those in forms and in JSON within texts too."""
    match value:
        case dict():
            return {name: _changed(member, change) for name, member in value.items()}
        case list():
            return [_changed(member, change) for member in value]
        case bool():
            return value
        case int():
            changed = change(str(value))
            return value if changed == str(value) else changed
        case str() if value.startswith("{"):
            with suppress(ValueError):
                return json.dumps(_changed(json.loads(value), change))
        case str() if pairs := _pairs(value):
            return urlencode([(name, change(text)) for name, text in pairs])
        case str():
            return change(value)
    return value


def _pairs(text: str) -> list[tuple[str, str]]:
    """The fields of a form; nothing for what is none."""
    try:
        return parse_qsl(text, keep_blank_values=True, strict_parsing=True) if "=" in text and "&" in text else []
    except ValueError:
        return []


def _walk(value: Any, steps: Steps) -> object:
    """What is at a place; ``None`` where that does not exist."""
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _put(body: Any, steps: Steps, value: object) -> None:
    *way, last = steps
    try:
        for step in way:
            body = body.setdefault(step, {}) if isinstance(body, dict) else body[step]
        body[last] = value
    except (KeyError, IndexError, TypeError):
        raise NoSample("the body has no such place") from None


def _flat(body: Mapping[str, Any], before: Steps = ()) -> Iterator[tuple[str, str]]:
    """The fields of a form, nested ones with brackets."""
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
