"""Every preset accepts only its product's deliveries, and is documented."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict
from werkzeug.datastructures import Headers

from tests.deliveries import (
    CALLBACKS,
    NOW,
    SECRET,
    SENDERS,
    STANDARD,
    SVIX,
    TOKENS,
    WHSEC,
    Keys,
    contacts,
    expected,
    published_keys,
    readings,
    sample,
    sample_delivery,
    source,
    written,
)
from tests.quick import QUICK_S, seconds
from webhook_app.sources.body.payload_codec import dump_payload, load_payload
from webhook_app.sources.body.reader import MAX_BYTES
from webhook_app.sources.config import read_source
from webhook_app.sources.delivery import Delivery, TooLarge, Unauthentic
from webhook_app.sources.docs import PAGE, render
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.sample import payload_of, read_sample, sample_files, unique
from worker.errors import Unmappable
from worker.model import Event


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with published_keys() as keys:
        yield keys


#: Anything that a payload can hold.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def members(value: object) -> Iterator[tuple[str, object]]:
    """Everything in a payload, with its name or number."""
    for name, member in (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    ):
        yield str(name), member
        yield from members(member)


# The deliveries of each product


@pytest.mark.parametrize("preset", PRESETS)
def test_a_sample_verifies_and_becomes_the_contact(preset: str, keys: Keys) -> None:
    found, sent = source(preset, keys), sample_delivery(preset, keys)
    assert found.verify(sent, NOW) == 0
    contact = expected(preset)
    assert contacts(found, sent) == ([contact] if contact else [])


#: Every event of which a preset has a sample.
EVENTS = [(preset, event) for preset in PRESETS for event in sample_files(preset)]


@pytest.mark.parametrize(("preset", "event"), EVENTS)
def test_the_sample_of_every_event_is_read(preset: str, event: str, keys: Keys) -> None:
    found, sent = source(preset, keys, on_delete="mark"), sample_delivery(preset, keys, event=event)
    data, contact = sample(preset, event), expected(preset, event)
    read = readings(found, sent)
    assert [signup.contact for signup in read] == ([contact] if contact else [])
    if read and "event" in PRESETS[preset]:
        assert asdict(read[0].event) == data["expected_event"]
    if "expected_cleared" in data:
        assert [sorted(signup.cleared) for signup in read] == [sorted(data["expected_cleared"])]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_sample_of_every_event_can_be_sent_about_one_person(preset: str, keys: Keys) -> None:
    """So that ``flask send-test --event`` changes, and deletes, whom it created before."""
    found = source(preset, keys, on_delete="mark")
    events: list[Event] = []
    for event in sample_files(preset):
        made = unique(found, read_sample(preset, event), "987654321")
        read = None if made is None else found.read_payload(payload_of(found, made), made.headers)
        events += [one.event for one in (read if isinstance(read, list) else [read]) if one]
    assert len(events) >= len([event for event in sample_files(preset) if expected(preset, event)])
    signed_up_at = events[0].at or 0 if events else 0
    assert all(one.at is None or one.at >= signed_up_at for one in events if one.is_deletion)


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if "deleted_if" in PRESETS[preset]])
def test_a_deletion_is_ignored_unless_it_is_wanted(preset: str, keys: Keys) -> None:
    events = [event for event in sample_files(preset) if is_deletion(preset, event, keys)]
    assert events, "there is no sample of a deletion"
    assert all(contacts(source(preset, keys), sample_delivery(preset, keys, event=event)) == [] for event in events)


def is_deletion(preset: str, event: str, keys: Keys) -> bool:
    found = source(preset, keys, on_delete="mark")
    return any(read.event.is_deletion for read in readings(found, sample_delivery(preset, keys, event=event)))


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset not in (*TOKENS, *CALLBACKS)])
def test_a_changed_byte_is_rejected(preset: str, keys: Keys) -> None:
    found, sent = source(preset, keys), sample_delivery(preset, keys)
    for index in (0, len(sent.body) // 2, len(sent.body) - 10):
        other = bytes([sent.body[index] ^ 1])
        body = sent.body[:index] + other + sent.body[index + 1 :]
        with pytest.raises(Unauthentic):
            found.verify(Delivery(sent.headers, body, sent.args), NOW)


@pytest.mark.parametrize("preset", PRESETS)
def test_an_unsigned_sample_is_rejected(preset: str, keys: Keys) -> None:
    found, data = source(preset, keys), sample(preset)
    bare = Delivery(Headers({"Content-Type": "application/json"}), json.dumps(data["body"]).encode())
    with pytest.raises(Unauthentic):
        found.verify(bare, NOW)


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if "secret_hint" in PRESETS[preset]])
def test_another_secret_is_rejected(preset: str, keys: Keys) -> None:
    other = source(preset, keys, secret=PRESETS[preset].get("secret_begins", ["whsec_"])[0] + "A" * 32)
    with pytest.raises(Unauthentic):
        other.verify(sample_delivery(preset, keys), NOW)


@pytest.mark.parametrize(
    "preset",
    [*SVIX, *STANDARD, *CALLBACKS, "workos", "stripe", "paddle", "calendly", "ghost", "webflow", "slack"],
)
def test_an_old_signature_is_rejected(preset: str, keys: Keys) -> None:
    with pytest.raises(Unauthentic):
        source(preset, keys).verify(sample_delivery(preset, keys), NOW + 301)


# Vectors: published by the products, or derived from their documentation


def vectors(preset: str, event: str) -> list[tuple[dict[str, Any], bytes]]:
    data = sample(preset, event)
    body = data["body"]
    raw = (
        body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    )
    published = data.get("vector", [])
    found = [(v, v["raw_body"].encode()) for v in (published if isinstance(published, list) else [published])]
    derived = data.get("derived_vector", {})
    return [*found, (derived, raw)] if "secret" in derived else found


@pytest.mark.parametrize(
    ("preset", "vector", "body"),
    [(preset, *found) for preset in PRESETS for event in sample_files(preset) for found in vectors(preset, event)],
)
def test_vectors(preset: str, vector: dict[str, Any], body: bytes) -> None:
    if "body_sha256" in vector:
        assert hashlib.sha256(body).hexdigest() == vector["body_sha256"]
    name = sample(preset)["signature"]["header"].split()[0]
    name = "X-Webhook-Signature" if name == "configurable" else name
    headers = {**vector.get("headers", {}), name: vector["expected"]}
    times = [
        vector.get("timestamp"),
        *vector.get("headers", {}).values(),
        *re.findall(r"\d{10,13}", vector["expected"]),
    ]
    at = next((int(text[:10]) for text in times if text and text.isdigit()), NOW)
    found = read_source("a", {"preset": preset, "secret": vector["secret"]}, {})
    assert found.verify(Delivery(Headers(headers), body), at) == 0
    with pytest.raises(Unauthentic):
        found.verify(Delivery(Headers(headers), body + b" "), at)


# The presets themselves, and the generated page


@given(data=st.data())
def test_anything_in_a_payload_gives_contacts_or_none(data: st.DataObject) -> None:
    """A sample with any other value in it never raises an error other than Unmappable."""
    preset = data.draw(st.sampled_from(list(PRESETS)))
    body = sample(preset)["body"]
    parents = [
        value for value in (body, *(value for _, value in members(body))) if isinstance(value, dict | list) and value
    ]
    if parents:
        parent = data.draw(st.sampled_from(parents))
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        parent[data.draw(st.sampled_from(keys))] = data.draw(JSON)
    assert_read_soon(preset, body)


def assert_read_soon(preset: str, body: object) -> None:
    """Assert that it has contacts, is ignored, or can be quarantined, quickly."""
    found = read_source("a", written(preset), {})
    headers = Headers(sample(preset)["headers"])

    def read() -> None:
        try:
            found.read_payload(body, headers)
        except TooLarge:
            pass
        except Unmappable:
            load_payload(dump_payload(body, found.secret_fields))

    assert seconds(read) < QUICK_S


@pytest.mark.parametrize("preset", PRESETS)
def test_the_longest_lists_are_read_quickly(preset: str) -> None:
    def lengthen(value: Any, times: int) -> Any:
        if isinstance(value, dict):
            return {name: lengthen(member, times) for name, member in value.items()}
        return [lengthen(member, 1) for member in value] * times if isinstance(value, list) else value

    body = sample(preset)["body"]
    size = len(json.dumps(body))
    longer = (lengthen(body, times) for times in range(2 * MAX_BYTES // size, 0, -max(1, MAX_BYTES // size // 50)))
    largest = next(longer for longer in longer if len(json.dumps(longer)) <= MAX_BYTES)
    assert_read_soon(preset, largest)


def test_every_preset_has_a_sample_and_every_sample_a_preset() -> None:
    assert {folder.name.replace("_", "-") for folder in SENDERS.iterdir()} == set(PRESETS)
    assert all(sample_files(preset) for preset in PRESETS)


@pytest.mark.parametrize(("preset", "event"), EVENTS)
def test_a_sample_has_each_key_once(preset: str, event: str) -> None:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    json.loads(sample_files(preset)[event].read_text(encoding="utf-8"), object_pairs_hook=once)


@pytest.mark.parametrize("preset", PRESETS)
def test_of_several_samples_one_is_the_signup(preset: str) -> None:
    files = sample_files(preset)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", event) for event in files)
    assert len(files) == 1 or PRESETS[preset].get("sample") in files, 'write the key "sample" into the preset'


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_no_mistakes(preset: str) -> None:
    assert read_source("a", written(preset), {}).verifiers


@pytest.mark.parametrize("preset", PRESETS)
def test_secret_fields_are_paths(preset: str) -> None:
    for path in PRESETS[preset].get("secret_fields", ()):
        assert list(compile_path(path).values({}, Scope())) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_secrets_in_a_sample_are_secret_fields(preset: str) -> None:
    body = sample(preset)["body"]
    marked = [
        value
        for path in PRESETS[preset].get("secret_fields", ())
        for value in compile_path(path).values(body, Scope())
        if value is not None
    ]
    secret = re.compile("password$|user_pass|token$|private_metadata|trusted_metadata|google_key|webhookURL|_url$")
    public = re.compile("avatar_url|image_url|picture_url|photo|user_url|untrusted|profile_image_url|password_enabled")

    # A form response's token is its id.
    found = [
        (name, value)
        for name, value in members(body)
        if secret.search(name) and not public.search(name) and value not in (None, "") and preset != "typeform"
    ]
    for name, value in found:
        assert value in marked, name


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_who_can_choose_its_identifiers_and_why(preset: str) -> None:
    identity, reason = PRESETS[preset]["identity"], PRESETS[preset]["identity_reason"]
    assert identity in ("account", "visitor")
    assert reason.endswith(".")
    assert f"**Identity:** `{identity}`. {reason}" in " ".join(dict(sections())[preset].split())


def test_the_page_says_how_a_product_retries() -> None:
    retried = {preset: PRESETS[preset]["retries"] for preset in PRESETS if "retries" in PRESETS[preset]}
    assert "woocommerce" in retried
    for preset, text in retried.items():
        assert text.endswith(".")
        assert f"**Retries:** {text}" in " ".join(dict(sections())[preset].split())


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m webhook_app.sources.docs"


def sections() -> list[tuple[str, str]]:
    """Yield the sections of the page by preset."""
    found = []
    for part in re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        preset = re.search(r'^preset = "(.*)"$', part, re.MULTILINE)
        assert preset is not None, part
        found.append((preset[1], part.partition("\n## ")[0]))
    return found


def test_the_page_has_every_preset_once_and_its_lines_make_a_source() -> None:
    assert [preset for preset, _ in sections()] == list(PRESETS)
    for preset, part in sections():
        block = re.search(r"```toml\n(.*?)```", part, re.DOTALL)
        assert block is not None
        table = tomllib.loads(block[1].replace("<your subdomain>", "acme"))["sources"][preset]
        secret = written(preset).get("secret", "")
        assert read_source(preset, table, {str(table.get("secret", ""))[1:]: secret}).verifiers


@pytest.mark.parametrize(("preset", "part"), sections())
def test_the_toml_on_the_page_is_valid(preset: str, part: str) -> None:
    text = " ".join(part.split())
    keys = "map|only_if|ignore_if|test_if|deleted_if|absent|verify|secrets|blocking"
    lines = re.findall(rf"`((?:{keys}) = [^`]+)`", text)
    for line in lines:
        table = tomllib.loads(line)
        environ = {"NEW": SECRET, "OLD": SECRET}
        secret = {} if "secrets" in table else {"secret": WHSEC if preset in (*SVIX, *STANDARD) else SECRET * 3}
        needs = {"preset": preset, **secret} if {"verify", "secrets"} & table.keys() else written(preset)
        assert read_source("a", {**needs, **table}, environ).verifiers, line
