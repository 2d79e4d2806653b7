"""Forms as data: ``application/x-www-form-urlencoded`` and ``multipart/form-data``.

Names with brackets become nested objects, as PHP reads them: ``data[merges][FNAME]=Ana``. What stands in brackets is
always a name, a number too; empty brackets count up from 0. All values are texts. Of a name that is there twice the
last value counts, as in JSON.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from webhook_app.sources.delivery import BadBody, TooLarge

#: Fields of a form, and parts of a multipart body. Forms have dozens.
MAX_FIELDS = 500
#: How deep brackets may nest.
MAX_BRACKETS = 8
#: Bytes that are parsed at a time; the head of a part may be twice as long.
CHUNK = 4096
#: Lines in the head of a part. There are one or two.
MAX_PART_HEADERS = 16
#: Characters in the heads of all parts together.
MAX_HEADS = 64 * 1024

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")


def parse_form(raw: bytes) -> dict[str, object]:
    """An urlencoded form in UTF-8 (WHATWG URL, section 5.1) as nested objects.

    Raises:
        BadBody: it is none, not UTF-8, or brackets nest too deeply.
        TooLarge: it has more than ``MAX_FIELDS`` fields.
    """
    if raw.count(b"&") >= MAX_FIELDS:
        raise TooLarge(f"the form has more than {MAX_FIELDS} fields")
    if 3 * raw.count(b"%") > len(raw):
        raise BadBody("the form is not urlencoded")
    try:
        return _nested(parse_qsl(raw.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        pass
    raise BadBody("the form is not UTF-8")  # out here, so that it does not carry the other error along with the body


def parse_multipart(raw: bytes, content_type: str) -> dict[str, object]:
    """The fields of a multipart body (RFC 7578) in UTF-8 as nested objects; files are left out.

    Raises:
        BadBody: it is none, is cut off, is not UTF-8, or brackets nest too deeply.
        TooLarge: it has more than ``MAX_FIELDS`` parts, or one whose head is longer than anybody's.
    """
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary or not boundary.isascii():
        raise BadBody("the multipart body has no boundary")
    try:
        return _nested([(name, text.decode()) for name, text in _fields(raw, boundary.encode())])
    except RequestEntityTooLarge:
        too_large = True
    except (ValueError, AttributeError):  # AttributeError: werkzeug's, where a part's head has no end
        too_large = False
    if too_large:
        raise TooLarge(f"the multipart body has more than {MAX_FIELDS} parts, or one with a long head")
    raise BadBody("the multipart body is none, is cut off, or is not UTF-8")


def _fields(raw: bytes, boundary: bytes) -> list[tuple[str, bytearray]]:
    """Name and text of each part that is not a file."""
    fields: list[tuple[str, bytearray]] = []
    text = bytearray()
    heads = 0
    for event in _events(raw, boundary):
        if isinstance(event, Field | File):
            text = bytearray()
            heads += sum(len(value) for _, value in event.headers)
            if not event.name or len(event.headers) > MAX_PART_HEADERS or heads > MAX_HEADS:
                raise ValueError("a part without a name, or with too much of a head")
            if isinstance(event, Field):
                fields.append((event.name, text))
        elif isinstance(event, Data):
            text += event.data
    return fields


def _events(raw: bytes, boundary: bytes) -> Iterator[Event]:
    """What werkzeug reads; it holds no more than two chunks at a time."""
    decoder = MultipartDecoder(boundary, max_form_memory_size=2 * CHUNK, max_parts=MAX_FIELDS)
    chunks = (raw[start : start + CHUNK] for start in range(0, len(raw), CHUNK))
    for chunk in (*chunks, None):
        decoder.receive_data(chunk)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            yield event


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    form: dict[str, Any] = {}
    for name, value in pairs:
        place, key = form, name
        for index, inner in enumerate(_keys(name)):
            if index:
                place = _inside(place, key)
            key = inner or str(len(place)) if index else inner
        place[key] = value
    return form


def _inside(place: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under ``key``, which takes the place of anything else there."""
    if not isinstance(place.get(key), dict):
        place[key] = {}
    inner: dict[str, Any] = place[key]
    return inner


def _keys(name: str) -> list[str]:
    """``data[merges][FNAME]`` as its three names; a name whose brackets do not match is one name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return [name]
    keys = match[2][1:-1].split("][")
    if len(keys) > MAX_BRACKETS:
        raise BadBody("the brackets in the form's names nest too deeply")
    return [match[1], *keys]
