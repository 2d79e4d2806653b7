"""A secret that is sent with the delivery as it is."""

import hmac
from dataclasses import dataclass, field

from webhook_app.sources.body.reader import Reader
from webhook_app.sources.delivery import BadBody, Delivery, Unauthentic, Unsigned, present
from webhook_app.sources.mapping.paths import Path, Scope
from webhook_app.sources.verify.signature import key_problems
from worker.errors import SettingsError, Unmappable
from worker.normalise import as_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret in the query argument ``query``, or else in ``header``.

    The word ``auth_scheme`` (RFC 9110, section 11.1) may precede it, in any case. ``keys`` are the bytes as sent.

    Raises:
        SettingsError: a key is too short, or neither a header nor a query argument is named.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    header: str = "Authorization"
    auth_scheme: str = "Bearer"
    query: str = ""

    def __post_init__(self) -> None:
        problems = key_problems(self.keys)
        if not (self.header or self.query):
            problems.append("header, query or field is missing")
        if problems:
            raise SettingsError(problems)

    def verify(self, delivery: Delivery, now: float) -> int:
        """Return the index of the key that was sent; ``now`` is not used.

        Raises:
            Unauthentic: no key was sent, or a wrong one.
        """
        return _index(self.keys, self._token(delivery))

    def _token(self, delivery: Delivery) -> bytes:
        """Return the token as bytes; headers are Latin-1 in WSGI, the query UTF-8."""
        if self.query:
            return _encoded(present(delivery.args.get(self.query), f"the query argument {self.query}"), "utf-8")
        value = present(delivery.headers.get(self.header), f"the {self.header} header").strip()
        scheme, _, rest = value.partition(" ")
        return _encoded(rest.strip() if scheme.lower() == self.auth_scheme.lower() else value, "latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldToken:
    """A secret in the body, at ``path``; ``reader`` parses the body to find it.

    Raises:
        SettingsError: a key is too short.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    path: Path
    reader: Reader

    def __post_init__(self) -> None:
        if problems := key_problems(self.keys):
            raise SettingsError(problems)

    def verify(self, delivery: Delivery, now: float) -> int:
        """Return the index of the key that was sent; ``now`` is not used.

        Raises:
            Unauthentic: no key was sent, or a wrong one, or the body cannot be read.
        """
        try:
            token = as_text(self.path.value(self.reader.read(delivery), Scope(delivery.headers)))
        except (BadBody, Unmappable):
            token = None
        if not token:
            raise Unsigned("the field with the token is missing, or the body cannot be read")
        return _index(self.keys, _encoded(present(token, "the field with the token"), "utf-8"))


def _index(keys: tuple[bytes, ...], token: bytes) -> int:
    for index, key in enumerate(keys):
        if hmac.compare_digest(key, token):
            return index
    raise Unauthentic("the token does not match")


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        problem = "the token is not text"
    raise Unauthentic(problem)  # raised here so that it has no context: the other error contains the token
