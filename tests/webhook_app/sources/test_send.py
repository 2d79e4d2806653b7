"""Signed samples are accepted by their sources, for every preset and every scheme."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deliveries import NOW, SENDERS, Keys, contacts, published_keys, sample_delivery, source
from webhook_app.sources.config import read_source
from webhook_app.sources.delivery import Delivery
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.sample import (
    SAMPLES,
    NoSample,
    Sample,
    contact_in,
    read_sample,
    sample_files,
    sample_of,
    unique,
)
from webhook_app.sources.send import Unsignable, check_signable, sign, with_body

SECRET = "a-secret-of-the-tests"
LONG_SECRET = "a-secret-of-the-tests-that-is-long-enough-for-512-bits-of-a-hash-"
ADDRESS = "http://127.0.0.1:8000/webhooks/app"
#: Their tokens are signed with a key that only the product has.
BY_KEY_SET = {"kinde", "fusionauth"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with published_keys() as keys:
        yield keys


def app(**written: Any) -> Any:
    return read_source("app", {"secret": SECRET, "map": {"identifier": "$.id"}, **written}, {})


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset not in BY_KEY_SET])
def test_a_signed_sample_is_a_new_contact_each_time(preset: str, keys: Keys) -> None:
    found = source(preset, keys)
    made = []
    for _ in range(2):
        sample = unique(found, sample_of(found))
        assert sample is not None
        sent = sign(found, sample, ADDRESS, NOW)
        assert found.verify(sent, NOW) == 0
        made += contacts(found, sent)[:1]
    first, second = made
    assert first.identifier != second.identifier
    assert first.email is None or first.email != second.email
    original = contacts(found, sample_delivery(preset, keys))
    assert not original or first.name == original[0].name


@pytest.mark.parametrize("preset", sorted(BY_KEY_SET))
def test_a_source_that_only_its_product_can_sign_for_is_reported(preset: str, keys: Keys) -> None:
    with pytest.raises(Unsignable, match="private key that only the sender has"):
        check_signable(source(preset, keys))


def test_ed25519_cannot_be_signed() -> None:
    found = app(verify="standard-webhooks", secret="whpk_" + "A" * 43)
    with pytest.raises(Unsignable, match="ed25519"):
        check_signable(found)
    with pytest.raises(Unsignable, match="ed25519"):
        sign(found, Sample({"id": 1}, JSON), ADDRESS, NOW)


@pytest.mark.parametrize(
    ("verify", "secret"),
    [
        ("token", SECRET),
        ("token", "sécret-of-the-tests"),
        ({"scheme": "token", "header": "X-Api-Key"}, SECRET),
        ({"scheme": "token", "auth_scheme": "Token"}, SECRET),
        ({"scheme": "token", "query": "key"}, "a secret/of&the=tests ü"),
        ({"scheme": "token", "field": "$.deep.key"}, SECRET),
        ("basic", "user:password"),
        ({"scheme": "hmac", "header": "X", "hash": "sha512", "encoding": "base64", "prefix": "v="}, SECRET),
        ({"scheme": "hmac", "header": "X", "template": "{method}{url}{body}"}, SECRET),
        (
            {
                "scheme": "hmac",
                "header": "X",
                "template": "{id}/{t}/{body}",
                "timestamp_header": "T",
                "unit": "ms",
                "id_header": "I",
            },
            SECRET,
        ),
        ("hubspot-v3", SECRET),
        ("standard-webhooks", "whsec_" + "A" * 32),
        ({"scheme": "jwt-header", "algorithms": ["HS512"], "issuer": "us"}, LONG_SECRET),
    ],
)
def test_every_scheme_is_signed(verify: object, secret: str) -> None:
    found = app(verify=verify, secret=secret)
    check_signable(found)
    sent = sign(found, Sample({"id": 1}, JSON), ADDRESS, NOW)
    assert found.verify(sent, NOW) == 0
    assert [contact.identifier for contact in contacts(found, sent)] == ["1"]


def test_a_body_that_is_a_token_is_signed() -> None:
    verify = {"scheme": "jwt-body", "algorithms": ["HS256"], "issuer": "us", "audience": "them"}
    found = app(verify=verify, secret=LONG_SECRET, body="jwt")
    sent = sign(found, sample_of(found), ADDRESS, NOW)
    assert found.verify(sent, NOW) == 0
    assert [contact.identifier for contact in contacts(found, sent)] == ["test"]


def test_the_first_of_two_secrets_signs() -> None:
    found = read_source(
        "app", {"verify": "token", "secrets": [SECRET, "another-secret"], "map": {"identifier": "$.id"}}, {}
    )
    assert found.verify(sign(found, Sample({"id": 1}, JSON), ADDRESS, NOW), NOW) == 0


def test_of_two_signable_verifiers_the_samples_own_is_used(keys: Keys) -> None:
    found = source("clerk", keys)
    sent = sign(found, sample_of(found), ADDRESS, NOW)
    assert sent.headers.get("svix-signature")
    assert not sent.headers.get("webhook-signature")


def test_of_two_verifiers_the_signable_one_is_used() -> None:
    ways = [
        {"scheme": "jwt-header", "jwks": "https://keys.example.com/jwks.json", "algorithms": ["RS256"]},
        {"scheme": "token", "header": "X-Key"},
    ]
    found = app(verify=ways)
    check_signable(found)
    assert sign(found, Sample({"id": 1}, JSON), ADDRESS, NOW).headers.get("X-Key") == SECRET


@pytest.mark.parametrize(
    ("field", "body"), [("$..key", {"id": 1}), ("$.key", "not data"), ("$.id.key", {"id": 1}), ("$[0].key", [])]
)
def test_a_token_that_cannot_be_added_to_the_body(field: str, body: object) -> None:
    with pytest.raises(Unsignable):
        sign(app(verify={"scheme": "token", "field": field}), Sample(body, JSON), ADDRESS, NOW)


@pytest.mark.parametrize("kind", ["json", "form", "multipart"])
def test_without_a_preset_a_contact_is_made_up(kind: str) -> None:
    found = app(
        verify="token",
        body=kind,
        contact="$.data",
        map={"identifier": "$.user.id", "email": ["$.mail", "$.email"]},
        only_if={"$.type": ["signup", "other"]},
    )
    sample = unique(found, sample_of(found), "me")
    assert sample is not None
    (contact,) = contacts(found, sign(found, sample, ADDRESS, NOW))
    assert contact.identifier == "me"
    assert contact.email is not None
    assert re.fullmatch(r"test-[0-9a-f]{12}@example\.com", contact.email)


def test_a_sample_that_cannot_be_made_up_is_reported() -> None:
    with pytest.raises(NoSample, match="--body FILE"):
        sample_of(app(verify="token", map={"identifier": "$.users[?@.primary].id"}))
    with pytest.raises(NoSample):
        sample_of(app(verify="token", only_if={"$.type": {"exists": True}}))


def test_an_identifier_that_a_filter_finds_is_replaced() -> None:
    found = app(verify="token", map={"identifier": "$.users[?@.primary].id"})
    sample = unique(found, Sample({"users": [{"id": 1, "primary": True}]}, JSON), "9")
    assert sample is not None
    assert sample.body == {"users": [{"id": 9, "primary": True}]}


def test_an_identifier_that_is_not_in_the_body_verbatim_stays() -> None:
    found = app(verify="token", map={"identifier": {"join": ["$.shop", "$.id"], "with": "-"}})
    sample = Sample({"shop": "a", "id": 1}, JSON)
    assert contact_in(found, sample) is not None
    assert unique(found, sample) is None


@pytest.mark.parametrize(
    ("old", "wanted", "new"), [(7, "8", 8), (7, "eight", "eight"), ("7", "8", "8"), ("a", "b", "b")]
)
def test_a_given_identifier_keeps_its_type(old: object, wanted: str, new: object) -> None:
    sample = unique(app(verify="token"), Sample({"id": old}, JSON), wanted)
    assert sample is not None
    assert sample.body == {"id": new}


def test_addresses_change_wherever_they_are() -> None:
    body = {
        "id": 1,
        "email": "Ada@Example.org",
        "phone": 12025550191,
        "raw": json.dumps({"mail": "ada@example.org"}),
        "form": "a=1&mail=ada%40example.org",
        "flag": True,
        "list": ["+1 (202) 555-0191", 3],
    }
    found = app(
        verify="token", region="US", map={"identifier": "$.id", "email": "$.email", "phone_number": "$.list[0]"}
    )
    sample = unique(found, Sample(body, JSON))
    assert sample is not None
    text = json.dumps(sample.body).lower()
    assert "ada" not in text
    assert "12025550191" not in text or sample.body["phone"] == "+12025550191"
    assert (sample.body["flag"], sample.body["list"][1]) == (True, 3)


def test_the_first_signup_of_a_batch_changes() -> None:
    found = app(verify="token", only_if={"$.type": "signup"})
    body = [{"id": 1, "type": "login"}, {"id": 2, "type": "signup"}]
    sample = unique(found, Sample(body, JSON), "9")
    assert sample is not None
    assert sample.body == [{"id": 1, "type": "login"}, {"id": 9, "type": "signup"}]


def test_another_body_is_parsed_if_it_is_json() -> None:
    assert with_body(Sample({}), b'{"id": 1}').body == {"id": 1}
    assert with_body(Sample({}), b"id=1").encoded() == b"id=1"


def test_a_missing_sample_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("webhook_app.sources.sample.SAMPLES", tmp_path)
    with pytest.raises(NoSample, match="The sample of the preset clerk is not installed"):
        read_sample("clerk")


def test_there_is_a_sample_of_each_event(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "clerk"
    folder.mkdir()
    for event in ("account.closed", "user.created", "user.updated"):
        (folder / f"{event}.json").write_text(json.dumps({"headers": {}, "body": {"type": event}}), encoding="utf-8")
    monkeypatch.setattr("webhook_app.sources.sample.SAMPLES", tmp_path)
    monkeypatch.setitem(PRESETS["clerk"], "sample", "user.created")
    assert list(sample_files("clerk")) == ["user.created", "account.closed", "user.updated"]
    assert read_sample("clerk").body == {"type": "user.created"}
    assert read_sample("clerk", "user.updated").body == {"type": "user.updated"}
    with pytest.raises(NoSample, match=r"has no sample of 'user\.gone', but of user\.created, account\.closed"):
        read_sample("clerk", "user.gone")


def test_samples_have_no_signatures() -> None:
    assert SAMPLES == SENDERS
    for preset in PRESETS:
        assert "<" not in str(dict(read_sample(preset).headers))


def test_a_signature_is_not_shown(keys: Keys) -> None:
    sent = sign(app(verify="token"), Sample({"id": 1}, JSON), ADDRESS, NOW)
    assert isinstance(sent, Delivery)
    assert SECRET not in repr(sent)
