"""Reads secrets and decodes them into keys. No message repeats a secret."""

import base64
import re
from collections.abc import Callable, Mapping

from webhook_app.sources.mistakes import collecting
from webhook_app.sources.verify.pasted import accident, is_encoded_login, not_a_signing_secret
from webhook_app.sources.verify.signature import ED25519_KEY, MIN_KEY
from worker.errors import SettingsError
from worker.settings import missing, read_variable

REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def read_secret(text: object, environ: Mapping[str, str]) -> str:
    """Return a secret; for ``$NAME`` the variable ``NAME`` or the file ``NAME_FILE``.

    Raises:
        ValueError: there is no secret.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("must be a string that is not empty")
    if not text.startswith("$"):
        return text
    reference = REFERENCE.fullmatch(text)
    if reference is None:
        raise ValueError("$ must be followed by the name of an environment variable")
    value = read_variable(reference[1], environ)
    if value is None:
        raise ValueError(missing(reference[1]))
    return value


def decode_key(secret: str, form: str) -> bytes:
    """Return the key in ``secret``, which is written in one of ``FORMS``.

    Raises:
        ValueError: it is malformed, too short or plainly something else; the text does not repeat it.
    """
    decoded = FORMS[form](refuse_accident(secret))
    if len(decoded) < MIN_KEY:
        raise ValueError(f"is shorter than {MIN_KEY} bytes")
    return decoded


def refuse_accident(secret: str) -> str:
    """Return the secret.

    Raises:
        ValueError: it has quotes around it, is a whole header, a URL, a placeholder or the like.
    """
    if what := accident(secret):
        raise ValueError(what)
    return secret


def decode_keys(secrets: Mapping[str, str], form: str) -> tuple[bytes, ...]:
    """Return the keys in named secrets, in their order.

    Raises:
        SettingsError: some are malformed; one sentence for each, beginning with its name.
    """
    keys: list[bytes] = []
    problems: list[str] = []
    for name, secret in secrets.items():
        with collecting(problems, f"{name} "):
            keys.append(decode_key(secret, form))
    if problems:
        raise SettingsError(problems)
    return tuple(keys)


def _utf8(secret: str) -> bytes:
    try:
        return secret.encode()
    except UnicodeEncodeError:
        raise ValueError("is not text") from None


def _base64(secret: str) -> bytes:
    """RFC 4648 section 4; the padding may be missing."""
    try:
        return base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True)
    except ValueError:
        raise ValueError("is not base64") from None


def _hex(secret: str) -> bytes:
    try:
        return bytes.fromhex(secret)
    except ValueError:
        raise ValueError("is not hexadecimal") from None


def _whsec(secret: str) -> bytes:
    """Base64 after an optional ``whsec_``; Supabase puts ``v1,`` before that."""
    if what := not_a_signing_secret(secret):
        raise ValueError(what)
    return _base64(secret.removeprefix("v1,").removeprefix("whsec_"))


def _whpk(secret: str) -> bytes:
    """The public key of Standard Webhooks' v1a: base64 after ``whpk_``."""
    key = _base64(secret.removeprefix("whpk_"))
    if len(key) != ED25519_KEY:
        raise ValueError(f"is not a public key of {ED25519_KEY} bytes")
    return key


def _basic(secret: str) -> bytes:
    """Encode ``user:password`` as in RFC 7617."""
    if is_encoded_login(secret):
        raise ValueError("is already encoded: write user:password")
    if ":" not in secret:
        raise ValueError("must have the form user:password")
    return base64.b64encode(_utf8(secret))


FORMS: Mapping[str, Callable[[str], bytes]] = {
    "utf8": _utf8,
    "base64": _base64,
    "hex": _hex,
    "whsec": _whsec,
    "whpk": _whpk,
    "basic": _basic,
}
#: The values of ``key`` under ``verify``.
KEY_OPTIONS = ("utf8", "base64", "hex", "whsec", "basic")
