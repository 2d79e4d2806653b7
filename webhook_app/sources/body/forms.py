"""Forms as data: urlencoded and multipart.

Names with brackets become nested objects, as in PHP: ``data[merges][FNAME]=Ana``. The text in brackets is always a
name, also if it is a number; empty brackets count up from 0. All values are texts. If a name occurs twice, the last
value wins, as in JSON.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from webhook_app.sources.delivery import BadBody, TooLarge

#: Fields of a form, and parts of a multipart body; usual are dozens.
MAX_FIELDS = 500
#: Levels of nested brackets.
MAX_BRACKETS = 8
#: Bytes that are parsed at a time; the headers of a part may be twice as long.
CHUNK = 4096
#: Headers of a part; usual are one or two.
MAX_PART_HEADERS = 16
#: Characters in the headers of all parts together.
MAX_HEADS = 64 * 1024

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")


def parse_form(raw: bytes) -> dict[str, object]:
    """Parse an urlencoded form in UTF-8 (WHATWG URL, section 5.1) into nested objects.

    Raises:
        BadBody: it is malformed, ends inside an escape or is not UTF-8, or brackets nest too deeply.
        TooLarge: it has more than ``MAX_FIELDS`` fields.
    """
    if raw.count(b"&") >= MAX_FIELDS:
        raise TooLarge(f"the form has more than {MAX_FIELDS} fields")
    if 3 * raw.count(b"%") > len(raw):
        raise BadBody("the form is not urlencoded")
    if b"%" in raw[-2:]:
        raise BadBody("the form was cut off: it ends inside an escape")
    try:
        return _nested(parse_qsl(raw.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        pass
    raise BadBody("the form is not UTF-8")  # raised here so that it has no context: the other error contains the body


def parse_multipart(raw: bytes, content_type: str) -> dict[str, object]:
    """Parse a multipart body (RFC 7578) in UTF-8 into nested objects, without files.

    Raises:
        BadBody: it is malformed, cut off or not UTF-8, or brackets nest too deeply.
        TooLarge: it has more than ``MAX_FIELDS`` parts, or one with oversized headers.
    """
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary or not boundary.isascii():
        raise BadBody("the multipart body has no boundary")
    try:
        return _nested([(name, text.decode()) for name, text in _fields(raw, boundary.encode())])
    except RequestEntityTooLarge:
        too_large = True
    except (ValueError, AttributeError):  # AttributeError: from werkzeug, if a part's headers do not end
        too_large = False
    if too_large:
        raise TooLarge(f"the multipart body has more than {MAX_FIELDS} parts, or one with long headers")
    raise BadBody("the multipart body is malformed, cut off, or not UTF-8")


def _fields(raw: bytes, boundary: bytes) -> list[tuple[str, bytearray]]:
    """Return the name and the text of each part that is not a file."""
    fields: list[tuple[str, bytearray]] = []
    text = bytearray()
    heads = 0
    for event in _events(raw, boundary):
        if isinstance(event, Field | File):
            text = bytearray()
            heads += sum(len(value) for _, value in event.headers)
            if not event.name or len(event.headers) > MAX_PART_HEADERS or heads > MAX_HEADS:
                raise ValueError("a part without a name, or with too many headers")
            if isinstance(event, Field):
                fields.append((event.name, text))
        elif isinstance(event, Data):
            text += event.data
    return fields


def _events(raw: bytes, boundary: bytes) -> Iterator[Event]:
    """Yield werkzeug's events; no more than two chunks are in memory at a time."""
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
    """Return the object under ``key``, which replaces any other value there."""
    if not isinstance(place.get(key), dict):
        place[key] = {}
    inner: dict[str, Any] = place[key]
    return inner


def _keys(name: str) -> list[str]:
    """Split ``data[merges][FNAME]`` into its three names, if the brackets match."""
    match = _NAME.fullmatch(name)
    if match is None:
        return [name]
    keys = match[2][1:-1].split("][")
    if len(keys) > MAX_BRACKETS:
        raise BadBody("the brackets in the form's names nest too deeply")
    return [match[1], *keys]
