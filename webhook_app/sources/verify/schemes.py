"""The schemes that a source can name under ``verify``, and how they are read.

A new scheme is one entry of ``SCHEMES``: its options, and the function that makes verifiers from them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from webhook_app.sources.body.reader import Reader
from webhook_app.sources.delivery import Delivery
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mistakes import collecting, did_you_mean, unknown_keys
from webhook_app.sources.verify.callback_id import CallbackId
from webhook_app.sources.verify.jwks import KeySet
from webhook_app.sources.verify.jwts import ALGORITHMS, Jwt
from webhook_app.sources.verify.secret_forms import KEY_OPTIONS, decode_keys
from webhook_app.sources.verify.signature import Ed25519, Hmac, Verifier
from webhook_app.sources.verify.tokens import FieldToken, Token
from worker.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Given:
    """What a scheme is made from: named secrets, options, and the body reader.

    ``jwks`` has the URLs of all key sets of the source. Credentials are numbered: first the secrets, then the key sets.
    ``key_sets`` are those of all sources, by URL.
    """

    secrets: Mapping[str, str]
    options: Mapping[str, Any]
    reader: Reader
    jwks: tuple[str, ...] = ()
    key_sets: dict[str, KeySet] = field(default_factory=dict)

    def taking(self, name: str, default: str) -> tuple[Any, "Given"]:
        """Return the value of an option, and a copy without it."""
        rest = {key: value for key, value in self.options.items() if key != name}
        return self.options.get(name, default), replace(self, options=rest)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A verifier with some of the source's secrets; ``numbers`` are theirs."""

    verifier: Verifier
    numbers: tuple[int, ...]

    def verify(self, delivery: Delivery, now: float) -> int:
        return self.numbers[self.verifier.verify(delivery, now)]


@dataclass(frozen=True, slots=True)
class Scheme:
    options: frozenset[str]
    make: Callable[[Given], list[Verifier]]


def read_verifiers(
    written: object,
    secrets: Mapping[str, str],
    reader: Reader | None = None,
    key_sets: dict[str, KeySet] | None = None,
) -> tuple[Verifier, ...]:
    """Return the verifiers under ``verify``: a name, a table, or a list of them.

    ``secrets`` maps the name of each secret, for messages, to the secret, in the order of their numbers. ``key_sets``
    are those of other sources, by URL; new ones are added, so that each URL is fetched once.

    Raises:
        SettingsError: one sentence for each mistake, beginning with the name of the option or the secret.
    """
    verifiers: list[Verifier] = []
    problems: list[str] = []
    given = Given(secrets, {}, reader or Reader(), jwks_urls(written), {} if key_sets is None else key_sets)
    for entry in _entries(written):
        with collecting(problems):
            verifiers += _read_entry(entry, given)
    if not _entries(written):
        problems.append("verify: no scheme is set")
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return tuple(verifiers)


def key_sets(verifiers: Iterable[Verifier]) -> Iterator[KeySet]:
    """Yield the key sets that these verifiers fetch."""
    for verifier in verifiers:
        inner = verifier.verifier if isinstance(verifier, Numbered) else verifier
        if isinstance(inner, Jwt) and inner.key_set is not None:
            yield inner.key_set


def jwks_urls(written: object) -> tuple[str, ...]:
    """Return the URLs of the key sets under ``verify``, each once."""
    urls = [entry.get("jwks") for entry in _entries(written) if isinstance(entry, dict)]
    return tuple(dict.fromkeys(url for url in urls if isinstance(url, str)))


def needs_secrets(written: object) -> bool:
    """Whether anything under ``verify`` needs secrets, and not only a key set."""
    return not all(isinstance(entry, dict) and "jwks" in entry for entry in _entries(written))


def _entries(written: object) -> list[object]:
    entries = written if isinstance(written, list) else [written]
    return [{"scheme": entry} if isinstance(entry, str) else entry for entry in entries]


def _read_entry(entry: object, given: Given) -> list[Verifier]:
    name = entry.get("scheme") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(name, str):
        raise SettingsError(["verify: must be a scheme's name, or a table with a scheme"])
    if name not in SCHEMES:
        raise SettingsError([f'verify: there is no scheme "{name}"{did_you_mean(name, SCHEMES)}'])
    options = {key: value for key, value in entry.items() if key != "scheme"}
    problems = [f"verify.{problem}" for problem in unknown_keys(options, SCHEMES[name].options)]
    problems += [f"verify.{key}: must be {OPTIONS[key][1]}" for key in options if not _is_right(key, options[key])]
    if problems:
        raise SettingsError(problems)
    return SCHEMES[name].make(replace(given, options=options))


def _is_right(option: str, value: object) -> bool:
    return option not in OPTIONS or OPTIONS[option][0](value)


def _made(kind: Callable[..., Verifier], keys: tuple[Any, ...], *options: Mapping[str, Any]) -> Verifier:
    """Return ``kind`` with these keys and options, of which later ones win."""
    problems: list[str] = []
    with collecting(problems, "verify: "):
        return kind(keys=keys, **{name: value for some in options for name, value in some.items()})
    raise SettingsError(problems)


def _hmac(given: Given, fixed: Mapping[str, Any]) -> list[Verifier]:
    form, given = given.taking("key", "utf8")
    return [_made(Hmac, decode_keys(given.secrets, form), fixed, given.options)]


def _standard_webhooks(given: Given) -> list[Verifier]:
    """Standard Webhooks, spec 1.0.0; Svix signs alike with its own headers."""
    verifiers: list[Verifier] = []
    for kind, form, version in ((Hmac, "whsec", "v1,"), (Ed25519, "whpk", "v1a,")):
        own = {name: text for name, text in given.secrets.items() if text.startswith("whpk_") == (form == "whpk")}
        keys = decode_keys(own, form)
        numbers = tuple(number for number, name in enumerate(given.secrets) if name in own)
        for family in ("webhook", "svix") if own else ():
            fixed = _standard_headers(family) | {"prefix": version}
            verifier = _made(kind, keys, {"encoding": "base64"} if kind is Hmac else {}, fixed, given.options)
            verifiers.append(verifier if len(own) == len(given.secrets) else Numbered(verifier, numbers))
    return verifiers


def _standard_headers(family: str) -> dict[str, str]:
    return {
        "header": f"{family}-signature",
        "separator": " ",
        "template": "{id}.{t}.{body}",
        "timestamp_header": f"{family}-timestamp",
        "id_header": f"{family}-id",
    }


def _token(given: Given) -> list[Verifier]:
    field, given = given.taking("field", "")
    keys = decode_keys(given.secrets, "utf8")
    if not field:
        return [_made(Token, keys, given.options)]
    if given.options:
        raise SettingsError(["verify: a token is in a field, in the query or in a header; for several, use a list"])
    try:
        path = compile_path(field)
    except ValueError as error:
        raise SettingsError([f"verify.field: {error}"]) from None
    return [_made(FieldToken, keys, {"path": path, "reader": given.reader})]


def _basic(given: Given) -> list[Verifier]:
    return [_made(Token, decode_keys(given.secrets, "basic"), {"auth_scheme": "Basic"})]


def _callback_id(given: Given) -> list[Verifier]:
    return [_made(CallbackId, decode_keys(given.secrets, "utf8"), given.options)]


def _jwt(given: Given, fixed: Mapping[str, Any]) -> list[Verifier]:
    """With ``jwks`` the keys are fetched; without it the secrets are HMAC keys."""
    url, given = given.taking("jwks", "")
    algorithms, given = given.taking("algorithms", "")
    options = {**fixed, **given.options, "algorithms": tuple(algorithms)}
    if not url:
        return [_made(Jwt, decode_keys(given.secrets, "utf8"), options)]
    try:
        key_set = given.key_sets.setdefault(url, KeySet(url))
    except ValueError as error:
        raise SettingsError([f"verify.jwks: {error}"]) from None
    return [Numbered(_made(Jwt, (), options, {"key_set": key_set}), (len(given.secrets) + given.jwks.index(url),))]


_HMAC_OPTIONS = (
    "header hash encoding prefix separator template timestamp_header timestamp_prefix unit tolerance id_header key url "
    "first_element_only"
)
#: HubSpot's "Validating requests", version 3.
_HUBSPOT_V3 = {
    "header": "X-HubSpot-Signature-v3",
    "encoding": "base64",
    "template": "{method}{decoded_url}{body}{t}",
    "timestamp_header": "X-HubSpot-Request-Timestamp",
    "unit": "ms",
}
_JWT_OPTIONS = frozenset({"jwks", "algorithms", "issuer", "audience"})

SCHEMES: Mapping[str, Scheme] = {
    "standard-webhooks": Scheme(frozenset({"tolerance"}), _standard_webhooks),
    "hmac": Scheme(frozenset(_HMAC_OPTIONS.split()), partial(_hmac, fixed={})),
    "token": Scheme(frozenset({"header", "query", "field", "auth_scheme"}), _token),
    "basic": Scheme(frozenset(), _basic),
    "engagelab": Scheme(frozenset({"tolerance", "one_body"}), _callback_id),
    "hubspot-v3": Scheme(frozenset({"url", "tolerance"}), partial(_hmac, fixed=_HUBSPOT_V3)),
    "jwt-body": Scheme(_JWT_OPTIONS, partial(_jwt, fixed={})),
    "jwt-header": Scheme(
        _JWT_OPTIONS | {"header", "claim", "encoding"},
        partial(_jwt, fixed={"header": "Authorization", "claim": "request_body_sha256"}),
    ),
}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_algorithms(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(name in ALGORITHMS for name in value)


#: The valid values of each option: as a check and in words.
OPTIONS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(("header", "hash", "encoding", "prefix", "separator", "template"), (_is_text, "a string")),
    **dict.fromkeys(("timestamp_header", "timestamp_prefix", "unit", "id_header", "url"), (_is_text, "a string")),
    **dict.fromkeys(("query", "field", "auth_scheme", "jwks", "issuer", "audience", "claim"), (_is_text, "a string")),
    "key": (lambda value: value in KEY_OPTIONS, f"one of {', '.join(KEY_OPTIONS)}"),
    **dict.fromkeys(("first_element_only", "one_body"), (lambda value: isinstance(value, bool), "true or false")),
    "algorithms": (_is_algorithms, f"a list of {', '.join(ALGORITHMS)}"),
    "tolerance": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        "a number of seconds",
    ),
}
