"""Normalises custom and additional attributes: text, numbers, true and false.

LiveDesk stores them as JSON and shows what it can. Other values, lists and objects, are left out with a note.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite

from worker.model import DELETED_AT, Attribute, Note, NoteCode

#: Attributes of one kind that a contact can have, and characters of a text.
MAX_ATTRIBUTES, MAX_VALUE = 50, 255
NAME = re.compile("[A-Za-z][A-Za-z0-9_-]{0,63}")
#: JSON numbers are exact up to here in most programs (RFC 8259, section 6).
MAX_EXACT = 2**53 - 1
#: NUL makes PostgreSQL refuse the whole row; half a surrogate pair cannot be encoded as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(slots=True)
class Attributes:
    """Attributes, and which of them the person does not have.

    ``kind`` is the field of the contact; ``cleared`` has names such as ``custom_attributes.plan``.
    """

    kind: str
    values: dict[str, Attribute] = field(default_factory=dict)
    cleared: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def read_attributes(kind: str, written: object) -> Attributes:
    """Return the attributes in an object; ``kind`` is the field of the contact."""
    found = Attributes(kind)
    if written is None:
        return found
    if not isinstance(written, Mapping):
        found.notes.append(Note(kind, "left out: not an object", NoteCode.LEFT_OUT))
        return found
    unnamed = [name for name in written if not is_name(name)]
    if unnamed:
        text = (
            f"{len(unnamed)} left out: a name begins with a letter, has letters, digits, - and _, and is not reserved"
        )
        found.notes.append(Note(kind, text, NoteCode.LEFT_OUT))
    named = [name for name in written if is_name(name)]
    if len(named) > MAX_ATTRIBUTES:
        found.notes.append(too_many(kind, len(named) - MAX_ATTRIBUTES))
    for name in named[:MAX_ATTRIBUTES]:
        _add(found, kind, name, written[name])
    return found


def too_many(kind: str, left_out: int) -> Note:
    return Note(kind, f"{left_out} left out: there are more than {MAX_ATTRIBUTES}", NoteCode.LEFT_OUT)


def is_name(name: object) -> bool:
    """Whether a source can give an attribute this name."""
    return isinstance(name, str) and name != DELETED_AT and NAME.fullmatch(name) is not None


def _add(found: Attributes, kind: str, name: str, written: object) -> None:
    place = f"{kind}.{name}"
    value, remark = _value(written)
    if value is not None:
        found.values[name] = value
    if remark:
        code = NoteCode.ALTERED if value is not None else NoteCode.LEFT_OUT
        found.notes.append(Note(place, remark, code))
    elif value is None:
        found.cleared.append(place)


def _value(written: object) -> tuple[Attribute | None, str]:
    """Return a value and a remark; neither for null and blank text."""
    match written:
        case None:
            return None, ""
        case bool():
            return written, ""
        case str():
            return _text(written)
        case int() if abs(written) <= MAX_EXACT:
            return written, ""
        case int() if abs(written) < 10**MAX_VALUE:
            return str(written), "a long number, sent as text"
        case Decimal() if written.is_finite() and isfinite(number := float(written)):
            return number, ""
        case float() if isfinite(written):
            return written, ""
    return None, "left out: neither text, a number, true nor false"


def _text(written: str) -> tuple[str | None, str]:
    text = _UNPRINTABLE.sub("", written).strip()
    if len(text) > MAX_VALUE:
        return text[:MAX_VALUE].rstrip(), f"cut to {MAX_VALUE} characters"
    return text or None, ""
