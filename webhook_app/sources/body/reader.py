"""A delivery's body as data: unpacked, parsed by its type, split into a batch.

JSON is strict (RFC 8259), and every number is exact.
"""

import base64
import binascii
import codecs
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import msgspec

from webhook_app.sources.body.by_content import FORMS, guess, is_vague, looks_like_json, wrapped_json
from webhook_app.sources.body.forms import parse_form, parse_multipart
from webhook_app.sources.delivery import BadBody, Delivery, TooLarge, WrongType
from webhook_app.sources.mapping.paths import Path, Scope

#: Bytes; a signup has a few kilobytes.
MAX_BYTES = 256 * 1024
#: Characters of a Content-Type that is parsed.
MAX_TYPE = 512
#: The values of ``Content-Encoding``, and whether they mean gzip. Some senders write the charset there.
PACKINGS = {"": False, "identity": False, "utf-8": False, "gzip": True, "x-gzip": True}
#: Elements of a batch; all are stored before the sender is answered.
MAX_ELEMENTS = 500
#: Objects and arrays in a JSON text; a signup has dozens, and creating very many takes long.
MAX_CONTAINERS = 10_000
#: Numbers with a fraction or an exponent: an exact one takes twenty times as long as a ``float``.
MAX_FRACTIONS = 10_000
#: Matches each of them, and hardly anything else.
_FRACTION = re.compile(rb"[0-9](?:\.[0-9]+(?:[eE][-+0-9])?|[eE][-+0-9])")


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of body: its media types, and how it is parsed."""

    types: tuple[str, ...]
    parse: Callable[[bytes, str], object]


#: The values of ``body``. Any ``application/...+json`` is JSON, too.
FORMATS: Mapping[str, Format] = {
    "json": Format(
        ("application/json", "text/json", "text/x-json", "application/x-json"), lambda raw, _: parse_json(raw)
    ),
    "ndjson": Format(
        ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"),
        lambda raw, _: parse_ndjson(raw),
    ),
    "form": Format(("application/x-www-form-urlencoded",), lambda raw, _: parse_form(raw)),
    "multipart": Format(("multipart/form-data",), parse_multipart),
    "jwt": Format(("application/jwt",), lambda raw, _: parse_jwt_claims(raw)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How a source's bodies are read.

    ``formats`` are the accepted kinds, by their names in ``FORMATS``; a delivery is of the first if neither its
    Content-Type nor its content says more. Who accepts one encoding of forms accepts the other, too. ``json_fields``
    are fields of the payload that contain JSON as text. ``each`` is the path to the elements of a batch. ``max_bytes``
    limits the unpacked body.
    """

    formats: tuple[str, ...] = ("json",)
    json_fields: tuple[str, ...] = ()
    each: Path | None = None
    max_bytes: int = MAX_BYTES

    def read(self, delivery: Delivery) -> object:
        """Return the payload of a delivery.

        Raises:
            BadBody: it cannot be read; ``status`` is the HTTP status for the problem.
        """
        content_type = delivery.headers.get("Content-Type") or ""
        packing = delivery.headers.get("Content-Encoding")
        raw = self._unpacked(delivery.body, packing) if packing else delivery.body
        payload = self._parsed(raw, content_type)
        return self._with_json_fields(payload) if self.json_fields else payload

    def elements(self, payload: object, scope: Scope) -> list[object] | None:
        """Return the elements of a batch, or ``None`` if the payload is not one.

        Raises:
            TooLarge: there are more than ``MAX_ELEMENTS``.
            Unmappable: the payload is too large to be searched.
        """
        if self.each is not None:
            elements = [value for value in self.each.values(payload, scope) if value is not None]
        else:
            elements = payload if isinstance(payload, list) else []
        if len(elements) > MAX_ELEMENTS:
            raise TooLarge(f"the batch has more than {MAX_ELEMENTS} elements")
        return elements or None

    def _unpacked(self, body: bytes, packing: str) -> bytes:
        is_gzip = PACKINGS.get(packing.strip().lower())
        if is_gzip is None:
            raise WrongType("the Content-Encoding must be gzip or none")
        return gunzip(body, self.max_bytes) if is_gzip else body

    def _parsed(self, raw: bytes, content_type: str) -> object:
        """Parse a body; if JSON and JSON Lines are accepted, the content decides."""
        is_plain = content_type == "application/json" and self.formats[0] == "json"
        name = "json" if is_plain else self._format(raw, content_type)
        try:
            payload = FORMATS[name].parse(raw, content_type)
        except BadBody:
            if name in FORMS and FORMS.isdisjoint(self.formats):
                raise self._wrong_type() from None
            if name != "json" or "ndjson" not in self.formats:
                raise
            return parse_ndjson(raw)
        if name in FORMS:
            return self._unwrapped(payload)
        return _decoded_again(payload) if isinstance(payload, str) else payload

    def _format(self, raw: bytes, content_type: str) -> str:
        """Return the format of a body: what its Content-Type says, or else its content.

        Raises:
            WrongType: the source does not accept it.
        """
        named = format_name(content_type)
        if named in self.formats and named not in FORMS:
            return named
        guessed = guess(raw, self.formats)
        if named in FORMS and not (named == "form" and guessed and looks_like_json(raw)):
            return named
        if guessed and (named in ("form", "json", "ndjson") or is_vague(content_type)):
            return guessed
        if not content_type:
            return self.formats[0]
        raise self._wrong_type()

    def _wrong_type(self) -> WrongType:
        types = " or ".join(FORMATS[taken].types[0] for taken in self.formats)
        return WrongType(f"the Content-Type must be {types}")

    def _unwrapped(self, form: object) -> object:
        """Return the JSON in a form's only field, or the form.

        Raises:
            BadBody: the field is not JSON.
            WrongType: it is another form, and the source does not accept forms.
        """
        accepts_forms = not FORMS.isdisjoint(self.formats)
        accepts_json = not {"json", "ndjson"}.isdisjoint(self.formats)
        name, text = wrapped_json(form, alone=accepts_forms) if accepts_json else ("", "")
        if text and name not in self.json_fields:
            try:
                return _json_field("of the form", text)
            except BadBody:
                if not accepts_forms:
                    raise
        if not accepts_forms:
            raise self._wrong_type()
        return form

    def _with_json_fields(self, payload: object) -> object:
        """Return the payload, or each element of a batch, with ``json_fields`` parsed."""
        if isinstance(payload, list):
            return [self._with_parsed(element) for element in payload]
        return self._with_parsed(payload)

    def _with_parsed(self, payload: object) -> object:
        if not isinstance(payload, dict):
            return payload
        texts = {name: payload[name] for name in self.json_fields if isinstance(payload.get(name), str)}
        return {**payload, **{name: _json_field(name, text) for name, text in texts.items()}}


def format_name(content_type: str) -> str:
    """Return the format with this media type, or ``""``."""
    if len(content_type) > MAX_TYPE:
        return ""
    mimetype = content_type.partition(";")[0].strip().lower()
    if mimetype.startswith("application/") and mimetype.endswith("+json"):
        return "json"
    return next((name for name, known in FORMATS.items() if mimetype in known.types), "")


def gunzip(packed: bytes, max_bytes: int) -> bytes:
    """Unpack gzip (RFC 1952) of one member.

    Raises:
        BadBody: it is not gzip, is cut off, or is followed by other bytes.
        TooLarge: it has more than ``max_bytes``; no more is unpacked.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        raw = unpacker.decompress(packed, max_bytes + 1)
    except zlib.error:
        raw = b""
    if len(raw) > max_bytes:
        raise TooLarge(f"the body unpacks to more than {max_bytes} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise BadBody("the body is not gzip, or is cut off")
    return raw


def _json_field(name: str, text: str) -> object:
    try:
        return parse_json(text.encode("utf-8", errors="surrogatepass"))
    except BadBody as error:
        problem = str(error).replace("the body", f"the field {name}", 1)
    raise BadBody(problem)


def _decoded_again(text: str) -> object:
    """Return the JSON in a JSON text: some clients encode an object twice."""
    raw = text.encode("utf-8", errors="surrogatepass")
    return parse_json(raw) if looks_like_json(raw) else text


def parse_json(raw: bytes) -> object:
    """Parse JSON with exact numbers: ``int`` or ``Decimal``.

    A UTF-8 byte order mark is skipped. If an object has a name twice, the last value wins, as in most parsers.

    Raises:
        BadBody: not UTF-8, not JSON, cut off or followed by other text, ``NaN`` or ``Infinity``, nested deeper than
            Python's stack (about 1,000 levels), an integer of more than 4,300 digits, an exponent of more than 18.
        TooLarge: more than ``MAX_CONTAINERS`` objects and arrays, or more than ``MAX_FRACTIONS``.
    """
    if len(raw) > MAX_CONTAINERS and raw.count(b"[") + raw.count(b"{") > MAX_CONTAINERS:
        raise TooLarge(f"the body has more than {MAX_CONTAINERS} objects and arrays")
    if len(raw) > 3 * MAX_FRACTIONS and len(_FRACTION.findall(raw)) > MAX_FRACTIONS:
        raise TooLarge(f"the body has more than {MAX_FRACTIONS} fractions")
    try:
        return _QUICK_DECODER.decode(raw)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        pass  # only the standard library says where the mistake is, and takes half of a surrogate pair
    try:
        return _DECODER.decode(raw.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError:
        problem = "is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg.removesuffix(' at')} at character {error.pos}"
    except RecursionError:
        problem = "is nested too deeply"
    except (ValueError, InvalidOperation):
        problem = "has a number that is too long"
    # Raised here so that it has no context: the other errors contain the body, which is personal data.
    raise BadBody(f"the body {problem}")


def parse_ndjson(raw: bytes) -> list[object]:
    """Parse JSON Lines (jsonlines.org); empty lines are skipped.

    Raises:
        BadBody: a line is not JSON; the text says which.
        TooLarge: there are more than ``MAX_ELEMENTS``.
    """
    if raw.count(b"\n") > 2 * MAX_ELEMENTS:
        raise TooLarge(f"the body has more than {2 * MAX_ELEMENTS} lines")
    lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), start=1) if not line.isspace() and line]
    if len(lines) > MAX_ELEMENTS:
        raise TooLarge(f"the body has more than {MAX_ELEMENTS} lines")
    return [_parse_line(number, line) for number, line in lines]


def _parse_line(number: int, line: bytes) -> object:
    try:
        return parse_json(line)
    except BadBody as error:
        problem = str(error).replace("the body", f"line {number} of the body", 1)
    raise BadBody(problem)


def split_first(raw: bytes) -> tuple[bytes, bool]:
    """Return the bytes of an array's first element, and whether others follow.

    Raises:
        BadBody: this is not an array with an element.
    """
    text = _decoded(raw).strip(_WHITE_SPACE)
    first = text[1:].lstrip(_WHITE_SPACE)
    try:
        end = _DECODER.raw_decode(first)[1] if text.startswith("[") else 0
    except (ValueError, RecursionError, InvalidOperation):
        end = 0
    if not end:
        raise BadBody("the body is not an array with an element")
    return first[:end].encode(), first[end:].lstrip(_WHITE_SPACE) != "]"


def _decoded(raw: bytes) -> str:
    try:
        return raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        pass
    raise BadBody("the body is not UTF-8")


def _refuse_constant(_name: str) -> NoReturn:
    raise BadBody("the body has NaN or Infinity, which are not JSON")


def parse_jwt_claims(raw: bytes) -> object:
    """Return the claims of a JSON Web Token, which ``verify.jwts`` has verified.

    Raises:
        BadBody: it is malformed.
    """
    parts = raw.strip().split(b".")
    try:
        claims = base64.b64decode(parts[1] + b"=" * (-len(parts[1]) % 4), b"-_", validate=True)
    except (IndexError, binascii.Error):
        claims = None
    if claims is None or len(parts) != 3:
        raise BadBody("the body is not a JSON Web Token")
    return parse_json(claims)


_WHITE_SPACE = " \t\r\n"
#: Made once: ``json.loads`` would build one for each call. The first takes half of the time; both read the same.
_QUICK_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
