"""What a body is, judged by its first bytes, where its Content-Type does not say.

Verified deliveries come with the wrong type: Amazon SNS sends JSON as ``text/plain`` ("Parsing Amazon SNS message
formats"), ``curl -d`` declares a form, a file is sent as ``application/octet-stream``, and small clients send no type.
"""

import codecs
import re
from collections.abc import Collection

#: Media types that say nothing about the content. One that says something else than JSON is believed.
VAGUE = (
    *("", "*/*", "text/plain", "text/javascript", "application/javascript", "application/octet-stream"),
    *("application/binary", "binary/octet-stream"),
)
#: Bytes that are looked at.
START = 256
#: An object, or an array of objects, arrays or texts. A form's name can begin with a bracket.
_JSON = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{"\]])')
#: A form has the name of its first field first; brackets and dots are often not escaped.
_FORM = re.compile(rb"[A-Za-z0-9_.$*\[\]%+-]+=")
#: The first bytes of ``{"`` in base64url.
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]*\.")
#: A form, whatever it is encoded in: both are objects whose values are texts.
FORMS = frozenset({"form", "multipart"})


def looks_like_json(raw: bytes) -> bool:
    """Whether the body begins like a JSON object or array."""
    return _JSON.match(raw[:START].removeprefix(codecs.BOM_UTF8)) is not None


def is_vague(content_type: str) -> bool:
    """Whether a Content-Type says nothing about the content."""
    return content_type.partition(";")[0].strip().lower() in VAGUE


def guess(raw: bytes, formats: Collection[str]) -> str:
    """Return which of ``formats`` the body is, or ``""``."""
    if looks_like_json(raw):
        return next((name for name in ("json", "ndjson") if name in formats), "")
    start = raw[:START].lstrip()
    if "jwt" in formats and _JWT.match(start):
        return "jwt"
    return "form" if FORMS & set(formats) and _FORM.match(start) else ""


def wrapped_json(form: object, *, alone: bool = True) -> tuple[str, str]:
    """Return name and text of a form's field with JSON, if there is one.

    It is the only field, or with ``alone = False`` one that is called ``payload``. GitHub's is called so unless it is
    set to JSON; Slack's interactions and Mandrill's events are always wrapped.
    """
    if isinstance(form, dict):
        name = next(iter(form), "") if len(form) == 1 else "" if alone else "payload"
        text = form.get(name)
        if isinstance(text, str) and looks_like_json(text.encode()):
            return name, text
    return "", ""
