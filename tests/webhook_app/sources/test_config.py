"""The sources file, presets and the shortcut: what is valid, and the errors."""

import base64
import hmac
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.datastructures import Headers

from tests.deliveries import sample
from webhook_app.sources import Source, load_sources
from webhook_app.sources.body.reader import FORMATS, parse_json
from webhook_app.sources.config import KEYS, read_source
from webhook_app.sources.delivery import Delivery, Unauthentic
from webhook_app.sources.mapping.rules import TREATMENTS
from webhook_app.sources.verify.handshakes import HANDSHAKES
from webhook_app.sources.verify.schemes import SCHEMES
from worker.errors import SettingsError, Unmappable
from worker.model import Contact, Event, Signup

ROOT = Path(__file__).parents[3]
NOW = 1_700_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

#: Presets, and the secret of the derived vector in their sample.
SAMPLES = {"standard-webhooks": SECRET, "generic-hmac": "test_secret", "generic-bearer": "test_token"}

Load = Callable[..., dict[str, Source]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a sources file with this text; keywords are the environment."""

    def load(text: str, webhook_secret: str | None = None, **environ: str) -> dict[str, Source]:
        path = tmp_path / "sources.toml"
        path.write_text(text, encoding="utf-8")
        return load_sources(path, webhook_secret, environ)

    return load


def mistakes(load: Load, text: str, webhook_secret: str | None = None, **environ: str) -> list[str]:
    """Return the mistakes in the file, without its path and the full stop."""
    with pytest.raises(SettingsError) as caught:
        load(text, webhook_secret, **environ)
    assert all(re.search(r"[^.?][.?]$", problem) for problem in caught.value.problems)
    return [problem.partition("sources.toml: ")[2].removesuffix(".") for problem in caught.value.problems]


def bearer(token: str, body: bytes = b"{}") -> Delivery:
    return Delivery(Headers({"Authorization": f"Bearer {token}"}), body)


def standard(secret: str, body: bytes) -> Delivery:
    code = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), b"msg_1.%d." % NOW + body, "sha256")
    signed = f"v1,{base64.b64encode(code).decode()}"
    return Delivery(Headers({"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": signed}), body)


# Presets and what products send


def signed_sample(preset: str) -> Delivery:
    """Return the sample's body, as in its derived vector, and its headers."""
    data = sample(preset)
    vector = data["derived_vector"]
    body = json.dumps(data["body"], separators=(",", ":"), ensure_ascii=False).encode()
    header = vector.get("header") or next(name for name in data["headers"] if name.lower().endswith("signature"))
    return Delivery(Headers({**data["headers"], **vector.get("headers", {}), header: vector["expected"]}), body)


@pytest.mark.parametrize("preset", SAMPLES)
def test_a_preset_accepts_its_products_deliveries(preset: str) -> None:
    secret = SAMPLES[preset]
    source = read_source(preset, {"preset": preset, "secret": secret, "region": "US"}, {})
    delivery = signed_sample(preset)
    sent_at = int(delivery.headers.get("webhook-timestamp") or NOW)
    assert source.verify(delivery, sent_at) == 0
    read = source.read_payload(parse_json(delivery.body))
    assert isinstance(read, Signup)
    # The samples have phone numbers as they were sent; 555-0100 has no area code.
    phone_numbers = {
        "(281) 332-2575": "+12813322575",
        "+48 22 555 01 00": "+48225550100",
        "5550100": None,
    }
    expected = sample(preset)["expected_contact"]
    assert read.contact == Contact(**{**expected, "phone_number": phone_numbers[expected["phone_number"]]})


@pytest.mark.parametrize("preset", SAMPLES)
def test_a_preset_rejects_another_secret_and_another_body(preset: str) -> None:
    secret = SAMPLES[preset]
    delivery = signed_sample(preset)
    sent_at = int(delivery.headers.get("webhook-timestamp") or NOW)
    other = read_source(preset, {"preset": preset, "secret": "whsec_" + "A" * 32}, {})
    with pytest.raises(Unauthentic):
        other.verify(delivery, sent_at)
    if preset != "generic-bearer":
        source = read_source(preset, {"preset": preset, "secret": secret}, {})
        with pytest.raises(Unauthentic):
            source.verify(Delivery(delivery.headers, delivery.body + b" "), sent_at)


def test_a_preset_can_be_overridden_key_by_key() -> None:
    written = {
        "preset": "generic-hmac",
        "secret": "test_secret",
        "verify": {"header": "X-Mine", "prefix": ""},
        "map": {"identifier": "$.member_no"},
    }
    source = read_source("app", written, {})
    code = hmac.digest(b"test_secret", b"{}", "sha256").hex()
    assert source.verify(Delivery(Headers({"X-Mine": code}), b"{}"), NOW) == 0
    read = source.read_payload({"data": {"id": 1, "member_no": 7, "email": "a@b.c"}})
    assert isinstance(read, Signup)
    assert read.contact == Contact("7", email="a@b.c")


def test_sources_with_one_id_space_are_siblings(load: Load) -> None:
    one = '[sources.{}]\nverify = "token"\nsecret = "$APP_WEBHOOK_SECRET"\n'
    text = one.format("app") + 'id_space = "users"\n' + one.format("users") + one.format("crm")
    sources = load(text, APP_WEBHOOK_SECRET=SECRET)
    assert sources["app"].origin.siblings == sources["users"].origin.siblings == ("app", "users")
    assert sources["crm"].origin.siblings == ()


def test_a_source_can_replace_its_presets_scheme() -> None:
    verify = {"scheme": "token", "header": "X-Token"}
    source = read_source("app", {"preset": "generic-hmac", "secret": "test_token", "verify": verify}, {})
    assert source.verify(Delivery(Headers({"X-Token": "test_token"}), b""), NOW) == 0


# The shortcut


@pytest.fixture
def signup(tmp_path: Path) -> Source:
    return load_sources(tmp_path / "sources.toml", SECRET, {})["signup"]


def test_one_secret_creates_the_source_signup(signup: Source) -> None:
    body = b'{"identifier": 42, "name": "Ana"}'
    assert signup.verify(standard(SECRET, body), NOW) == 0
    assert signup.verify(bearer(SECRET, body), NOW) == 0
    with pytest.raises(Unauthentic):
        signup.verify(bearer("whsec_another", body), NOW)


def test_signup_accepts_a_contact_bare_or_as_data(signup: Source) -> None:
    fields = {"identifier": 42, "name": "Ana", "email": "ana@example.com", "phone_number": "+48225550100"}
    fields |= {"avatar_url": "https://example.com/a.png", "inbox_id": 407}
    contact = Contact("42", 407, "Ana", "ana@example.com", "+48225550100", "https://example.com/a.png")
    assert signup.read_payload(fields) == Signup(contact)
    read = signup.read_payload({"type": "anything", "timestamp": "2022-11-03T20:26:10Z", "data": fields})
    assert read == Signup(contact, event=Event("anything", 1_667_507_170_000))


def test_signup_names_what_is_missing(signup: Source) -> None:
    payloads: list[object] = [{}, [], "text", None, {"type": "user.created", "data": {"name": "Ana"}}]
    for payload in payloads:
        with pytest.raises(Unmappable, match="identifier: missing"):
            signup.read_payload(payload)


def test_a_secret_that_is_not_base64_is_a_bearer_token_only(tmp_path: Path) -> None:
    source = load_sources(tmp_path / "none.toml", "correct horse!", {})["signup"]
    assert source.verify(bearer("correct horse!"), NOW) == 0
    assert len(source.verifiers) == 1


@pytest.mark.parametrize("secret", ["1234567", "whsec_no base64!"])
def test_a_bad_webhook_secret_is_a_mistake(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_SECRET") as caught:
        load_sources(tmp_path / "none.toml", secret, {})
    assert secret not in str(caught.value)


def test_no_source_at_all_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set WEBHOOK_SECRET, or create"):
        load_sources(tmp_path / "none.toml", None, {})


def test_a_configured_file_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(SettingsError, match="cannot be read"):
        load_sources(path, SECRET, {"SOURCES_FILE": str(path)})


def test_the_file_adds_to_the_shortcut_and_can_replace_it(load: Load) -> None:
    other = '[sources.{}]\nverify = "token"\nsecret = "other-token"'
    assert load(other.format("crm"), SECRET).keys() == {"signup", "crm"}
    assert load(other.format("signup"), SECRET)["signup"].verify(bearer("other-token"), NOW) == 0


# The file


def test_the_example_file_has_no_mistakes_and_shows_every_key() -> None:
    text = (ROOT / "sources.example.toml").read_text(encoding="utf-8")
    environ = {name: f"{name}-for-tests" for name in re.findall(r'"\$([A-Z_]+)"', text)}
    environ |= dict.fromkeys(["APP_WEBHOOK_SECRET", "AUTH_HOOK_SECRET"], SECRET)
    environ |= dict.fromkeys(["LEGACY_LOGIN", "EVENTS_LOGIN"], "alice:password")
    sources = load_sources(ROOT / "sources.example.toml", None, environ)
    assert sources.keys() == set(re.findall(r"^\[sources\.([a-z-]+)\]", text, re.MULTILINE))
    options = {option for scheme in SCHEMES.values() for option in scheme.options} - {"auth_scheme"}
    for word in [*KEYS, *SCHEMES, *FORMATS, *HANDSHAKES, *TREATMENTS, *options]:
        assert word in text


def test_a_source_of_the_example(load: Load) -> None:
    text = """
    [sources.app]
    verify = "standard-webhooks"
    secret = "$APP_WEBHOOK_SECRET"
    region = "DE"
    inbox_id = 407
    [sources.app.map]
    identifier = "$.data.user.id"
    email = ["$.data.user.email", "$.data.user.emails[0]"]
    name = { join = ["$.data.user.first_name", "$.data.user.last_name"] }
    phone_number = "data.user.phone"
    [sources.app.only_if]
    "$.type" = ["user.created", "user.registered"]
    """
    source = load(text, APP_WEBHOOK_SECRET=SECRET)["app"]
    user = {"id": 5, "emails": ["Ana@Example.com"], "first_name": "Ana", "last_name": None, "phone": "030 12345678"}
    body = json.dumps({"type": "user.created", "data": {"user": user}}).encode()
    assert source.verify(standard(SECRET, body), NOW) == 0
    assert source.read_payload(parse_json(body)) == Signup(Contact("5", 407, "Ana", "ana@example.com", "+493012345678"))
    assert source.read_payload({"type": "user.deleted", "data": {"user": user}}) is None


def test_two_secrets_during_a_rotation(load: Load) -> None:
    text = '[sources.shop]\nverify = "token"\nsecrets = ["$NEW", "$OLD"]'
    source = load(text, NEW="new-secret", OLD="old-secret")["shop"]
    assert source.verify(bearer("new-secret"), NOW) == 0
    assert source.verify(bearer("old-secret"), NOW) == 1


def test_a_secret_from_a_file_is_stripped(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")
    text = '[sources.a]\nverify = "token"\nsecret = "$NAME"'
    assert load(text, NAME_FILE=str(tmp_path / "secret"))["a"].verify(bearer("from-a-file"), NOW) == 0


@pytest.mark.parametrize(
    ("secret", "environ", "says"),
    [
        ('secret = "$NAME"', {}, "NAME is not set: set it, or NAME_FILE"),
        ('secret = "$NAME"', {"NAME": " "}, "NAME is not set: set it, or NAME_FILE"),
        (
            'secret = "$NAME"',
            {"NAME": "12345678", "NAME_FILE": "/a"},
            "NAME and NAME_FILE are both set: remove one",
        ),
        (
            'secret = "$NAME"',
            {"NAME_FILE": "/does/not/exist"},
            "NAME_FILE names a file that cannot be read (FileNotFoundError)",
        ),
        ('secret = "$"', {}, "$ must be followed by the name of an environment variable"),
        ('secret = "${NAME}"', {}, "$ must be followed by the name of an environment variable"),
        ('secret = ""', {}, "must be a string that is not empty"),
        ("secret = 5", {}, "must be a string that is not empty"),
        ("secrets = []", {}, 'set either secret = "$NAME" or secrets = ["$NEW", "$OLD"]'),
        ('secrets = "$NAME"', {}, 'set either secret = "$NAME" or secrets = ["$NEW", "$OLD"]'),
        (
            'secret = "a"\nsecrets = ["b"]',
            {},
            'set either secret = "$NAME" or secrets = ["$NEW", "$OLD"]',
        ),
        ("", {}, 'set either secret = "$NAME" or secrets = ["$NEW", "$OLD"]'),
    ],
)
def test_missing_secrets(load: Load, secret: str, environ: dict[str, str], says: str) -> None:
    text = f'[sources.a]\nverify = "token"\n{secret}'
    assert mistakes(load, text, **environ) == [f"[sources.a] secret: {says}"]


def test_a_malformed_secret_is_named_by_its_variable(load: Load) -> None:
    text = (
        '[sources.a]\nverify = "standard-webhooks"\nsecret = "$NAME"\n[sources.b]\nverify = "token"\nsecret = "short"'
    )
    assert mistakes(load, text, NAME="not base64") == [
        "[sources.a] $NAME is not base64",
        "[sources.b] secret is shorter than 8 bytes",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('regoin = "DE"', 'regoin: unknown key; did you mean "region"?'),
        ('region = "de"', 'region: must be the two-letter code of a country, like "DE"'),
        ('region = "XX"', 'region: must be the two-letter code of a country, like "DE"'),
        ("region = []", 'region: must be the two-letter code of a country, like "DE"'),
        ("inbox_id = 0", "inbox_id: must be a whole number above 0"),
        ('inbox_id = "407"', "inbox_id: must be a whole number above 0"),
        ("inbox_id = true", "inbox_id: must be a whole number above 0"),
        ('blocking = "no"', "blocking: must be true or false"),
        ('body = "xml"', "body: must be one of json, ndjson, form, multipart, jwt, or a list of them"),
        ("body = []", "body: must be one of json, ndjson, form, multipart, jwt, or a list of them"),
        ("body = [5]", "body: must be one of json, ndjson, form, multipart, jwt, or a list of them"),
        ("json_fields = [5]", "json_fields: must be a list of names"),
        ('each = "$.users"', 'each: must be a path that can find several elements, like "$.users[*]"'),
        ("each = 5", 'each: must be a path that can find several elements, like "$.users[*]"'),
        ('each = "$.["', "each: '$.[' is not a supported JSONPath"),
        ('handshake = "slakc"', 'handshake: there is no handshake "slakc"; did you mean "slack"?'),
        ("handshake = 5", 'handshake: there is no handshake "5"; expected one of meta, '),
        ('handshake = "meta"', "handshake: needs the verify token"),
        ('handshake = { name = "meta", tokne = "x" }', 'handshake: tokne: unknown key; did you mean "token"?'),
        ('handshake = { name = "meta", token = "$T" }', "handshake: T is not set: set it, or T_FILE"),
        ('ignore_if = { "header:" = 1 }', 'ignore_if."header:": header: must be followed by the name of a header'),
        ('test_if = { "$.a" = { exist = true } }', 'test_if."$.a": must be a string, number or boolean, a list'),
        ('map = { identifier = { path = "$.a", replace = {} } }', "map.identifier: replace must be a table of strings"),
        ('map = { identifier = { path = "$.a", prefix = 5 } }', "map.identifier: must be a path, a list"),
        ('secret_fields = ["$"]', "secret_fields: '$' is the whole payload"),
        ('secret_fields = ["$.a", "$.["]', "secret_fields: '$.[' is not a supported JSONPath"),
        ("secret_fields = [5]", "secret_fields: must be a list of paths"),
        ('on_invalid = "ignore"', 'on_invalid: must be "quarantine" or "reject"'),
        ("max_bytes = -1", "max_bytes: must be a whole number from 1 to 16777216"),
        ("map = 5", "map: must be a table"),
        ('only_if = "$.a"', "only_if: must be a table"),
        ("contact = []", "contact: must be a path, or a list of paths"),
        ('map = { identifier = "$.id", e_mail = "$.e" }', 'map.e_mail: unknown key; did you mean "email"?'),
        ('map = { email = "$.e" }', "map.identifier: is missing"),
        ("map = { identifier = 5 }", "map.identifier: must be a path, a list of alternatives, "),
        (
            'map = { identifier = "$.a b" }',
            "map.identifier: '$.a b' is not a supported JSONPath: this is not part of a path at character 3",
        ),
    ],
)
def test_each_mistake_has_its_sentence(load: Load, line: str, says: str) -> None:
    found = mistakes(load, f'[sources.a]\nverify = "token"\nsecret = "12345678"\n{line}')
    assert any(sentence.startswith(f"[sources.a] {says}") for sentence in found)


@pytest.mark.parametrize(
    ("verify", "says"),
    [
        ('"hmca"', 'verify: there is no scheme "hmca"; did you mean "hmac"?'),
        ("5", "verify: must be a scheme's name, or a table with a scheme"),
        ("{}", "verify: must be a scheme's name, or a table with a scheme"),
        ("[]", "verify: no scheme is set"),
        ('"hmac"', "verify: header is missing"),
        ('{ scheme = "hmac", haeder = "X" }', 'verify.haeder: unknown key; did you mean "header"?'),
        ('{ scheme = "hmac", header = 5 }', "verify.header: must be a string"),
        (
            '{ scheme = "hmac", header = "X", key = "rot13" }',
            "verify.key: must be one of utf8, base64, hex, whsec, basic",
        ),
        ('{ scheme = "hmac", header = "X", tolerance = "5m" }', "verify.tolerance: must be a number of seconds"),
        ('{ scheme = "token", header = "" }', "verify: header, query or field is missing"),
        ('{ scheme = "basic", header = "X" }', "verify.header: unknown key"),
        ('{ scheme = "token", field = "$.[" }', "verify.field: '$.[' is not a supported JSONPath: "),
        (
            '{ scheme = "token", field = "$.a", query = "b" }',
            "verify: a token is in a field, in the query or in a header; for several, use a list",
        ),
        (
            '{ scheme = "hmac", header = "X", first_element_only = "yes" }',
            "verify.first_element_only: must be true or false",
        ),
        ('{ scheme = "jwt-body" }', "verify: algorithms must be of HS256, HS384, HS512"),
        ('{ scheme = "jwt-body", algorithms = ["none"] }', "verify.algorithms: must be a list of HS256, HS384, "),
        ('{ scheme = "jwt-body", algorithms = ["HS256"] }', "verify: a secret must have at least 32 bytes"),
        ('{ scheme = "jwt-body", algorithms = ["RS256"] }', "verify: algorithms must be of HS256, HS384, HS512"),
        (
            '{ scheme = "jwt-body", jwks = "https://example.com", algorithms = ["HS256"] }',
            "verify: algorithms must be of RS256, ",
        ),
        (
            '{ scheme = "jwt-body", jwks = "http://example.com", algorithms = ["RS256"] }',
            "verify.jwks: must be an https URL, or an http URL in your own network",
        ),
        (
            '{ scheme = "jwt-header", claim = "", jwks = "https://example.com", algorithms = ["RS256"] }',
            "verify: claim is missing: without it a token is valid for any body",
        ),
        ('["token", "tokne"]', 'verify: there is no scheme "tokne"; did you mean "token"?'),
    ],
)
def test_each_mistake_about_verify_has_its_sentence(load: Load, verify: str, says: str) -> None:
    (found,) = mistakes(load, f'[sources.a]\nsecret = "a:1234567"\nverify = {verify}')
    assert found.startswith(f"[sources.a] {says}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it has no [sources.<name>]"),
        ("[sources]", "it has no [sources.<name>]"),
        ("sources = 5", "it has no [sources.<name>]"),
        ("[sources]\na = 5", "[sources.a] must be a table"),
        ("[sources", "Expected ']' at the end of a table declaration (at end of document)"),
        (
            '[sources.Shop]\nverify = "token"\nsecret = "12345678"',
            "[sources.Shop] the name must begin with a letter or digit, and ",
        ),
        ('[sources.a]\npreset = "generc-hmac"', "[sources.a] preset: there is no preset 'generc-hmac'; did you mean"),
        (
            "[sources.a]\npreset = 5",
            "[sources.a] preset: there is no preset 5; expected one of generic-hmac, generic-bearer",
        ),
    ],
)
def test_a_malformed_file(load: Load, text: str, says: str) -> None:
    (found,) = mistakes(load, text)
    assert found.startswith(says)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_bytes(b'a = "\xe9"')
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load_sources(path, None, {})


def test_all_mistakes_of_all_sources_are_reported_at_once(load: Load) -> None:
    text = """
    [source.a]
    [sources.a]
    verify = "token"
    regoin = "DE"
    [sources.b]
    verify = { scheme = "hmac", hash = "md5" }
    secrets = ["$B", "$C"]
    inbox_id = -1
    map = { email = "$.[" }
    """
    with pytest.raises(SettingsError) as caught:
        load(text, "short")
    problems = "\n".join(caught.value.problems)
    for part in [
        "WEBHOOK_SECRET",
        "source:",
        "regoin",
        "[sources.a] secret",
        "header is missing",
        "hash must be",
        "B is not",
    ]:
        assert part in problems
    for part in ["C is not set", "inbox_id", "map.identifier", "map.email"]:
        assert part in problems
    assert len(caught.value.problems) == 11


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("", []),
        ('secret = "$NAME"\nverify = { header = "X" }\nmap = { email = "$.mail" }', []),
        ('regoin = "DE"', ['regoin: unknown key; did you mean "region"?']),
        ('region = "Germany"', ['region: must be the two-letter code of a country, like "DE"']),
        ('secret = "$NOPE"', ["secret: NOPE is not set: set it, or NOPE_FILE"]),
        ("secret = '\"quoted\"'", ["secret is in quotes: remove them"]),
        ('map = { emial = "$.e" }', ['map.emial: unknown key; did you mean "email"?']),
        (
            'identity = "acount"\non_conflict = 1',
            ['identity: must be "account" or "visitor"', 'on_conflict: must be "ask" or "known" or "without"'],
        ),
        ('verify = "tokn"', ['verify: there is no scheme "tokn"; did you mean "token"?']),
        ('only_if = { "$.[" = 1 }', None),
        ('each = "$.a"', ['each: must be a path that can find several elements, like "$.users[*]"']),
    ],
)
def test_mistakes_beside_an_unknown_preset_are_reported(load: Load, rest: str, says: list[str] | None) -> None:
    found = mistakes(load, f'[sources.a]\npreset = "clerck"\n{rest}', NAME="a-secret-of-the-tests")
    assert "[sources.a] preset: there is no preset 'clerck'; did you mean \"clerk\"?" in found
    others = [problem.removeprefix("[sources.a] ") for problem in found if "preset:" not in problem]
    assert len(others) == 1 if says is None else others == says


def test_a_missing_secret_is_one_mistake(load: Load) -> None:
    text = '[sources.a]\nverify = "standard-webhooks"\nsecret = "$A"'
    assert mistakes(load, text) == ["[sources.a] secret: A is not set: set it, or A_FILE"]


def test_an_option_of_a_preset_can_be_changed(load: Load) -> None:
    text = '[sources.a]\npreset = "clerk"\nsecret = "$A"\nverify = { tolerance = 60 }'
    source = load(text, A=SECRET)["a"]
    assert source.verify(standard(SECRET, b"{}"), NOW + 59) == 0
    with pytest.raises(Unauthentic):
        source.verify(standard(SECRET, b"{}"), NOW + 61)


def test_no_secret_in_repr(load: Load) -> None:
    text = '[sources.a]\nverify = ["token", "standard-webhooks"]\nsecret = "$NAME"'
    assert "MfKQ" not in repr(load(text, NAME=SECRET))
