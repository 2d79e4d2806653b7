"""Text that a delivery holds as data: strict JSON (RFC 8259) and lines of it, with every number exact."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from worker.errors import SyncError

#: Elements of a batch: each is a contact of its own, to be stored before the sender is answered.
MAX_ELEMENTS = 500


#: Objects and arrays in a JSON text. A signup has some dozens; making very many of them takes long.
MAX_CONTAINERS = 10_000
#: Numbers with a fraction or an exponent: each is kept exact, which takes twenty times as long as a ``float`` would.
MAX_FRACTIONS = 10_000
#: What is in each of them, and hardly in anything else.
_FRACTION = re.compile(rb"[0-9](?:\.[0-9]+(?:[eE][-+0-9])?|[eE][-+0-9])")


class BadBody(SyncError):
    """The body is not what its sender says it is; the text says why and repeats nothing of it.

    ``status`` is the HTTP status that says so.
    """

    status = 400


class TooLarge(BadBody):
    """The body unpacks to more than the source takes, or holds more parts than anybody sends."""

    status = 413


class WrongType(BadBody):
    """The body is of a type, or packed in a way, that the source does not take."""

    status = 415


def parse_json(raw: bytes) -> object:
    """The JSON text ``raw`` as Python data.

    Whole numbers are ``int``, all others ``Decimal``: an id above 2**53 and a fraction come out digit for digit. A
    UTF-8 byte order mark is skipped. Where an object has a name twice, the last one counts, as in most parsers.

    Raises:
        BadBody: not UTF-8, not JSON, cut off or followed by something else, ``NaN`` or ``Infinity``, nested deeper than
            the interpreter can follow (about 1,000 levels), an integer beyond Python's limit (4,300 digits), an
            exponent beyond 18 digits.
        TooLarge: more than ``MAX_CONTAINERS`` brackets and braces are opened, or more than ``MAX_FRACTIONS``.
    """
    if raw.count(b"[") + raw.count(b"{") > MAX_CONTAINERS:
        raise TooLarge(f"the body has more than {MAX_CONTAINERS} objects and arrays")
    if len(raw) > 3 * MAX_FRACTIONS and len(_FRACTION.findall(raw)) > MAX_FRACTIONS:
        raise TooLarge(f"the body has more than {MAX_FRACTIONS} fractions")
    try:
        return _DECODER.decode(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        problem = "is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg.removesuffix(' at')} at character {error.pos}"
    except RecursionError:
        problem = "is nested too deeply"
    except (ValueError, InvalidOperation):
        problem = "has a number that is too long"
    # Raised out here so that the error carries no other one along: those hold the body, which is personal data.
    raise BadBody(f"the body {problem}")


def parse_ndjson(raw: bytes) -> list[object]:
    """JSON Lines (jsonlines.org): one JSON text a line; empty lines are skipped.

    Raises:
        BadBody: one of the lines is none; the text says which.
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
    """The first element of the JSON array ``raw``, byte for byte, and whether anything but the bracket comes after it.

    Raises:
        BadBody: this is not an array with an element in it.
    """
    text = _decoded(raw).strip(_WHITE_SPACE)
    first = text[1:].lstrip(_WHITE_SPACE)
    try:
        end = _DECODER.raw_decode(first)[1] if text.startswith("[") else 0
    except (ValueError, RecursionError, InvalidOperation):
        end = 0
    if not end:
        raise BadBody("the body is not an array with an element in it")
    return first[:end].encode(), first[end:].lstrip(_WHITE_SPACE) != "]"


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise BadBody("the body is not UTF-8")


def _refuse_constant(_name: str) -> NoReturn:
    raise BadBody("the body has NaN or Infinity, which JSON does not know")


_WHITE_SPACE = " \t\r\n"
#: Made once: ``json.loads`` would build one for each call.
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
