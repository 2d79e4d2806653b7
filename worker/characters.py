"""Invisible characters, which come along with copied text, and ASCII's letters.

They are in what people copy out of PDFs, chats and address books.
"""

import re
import string

#: What is invisible and means nothing at the edge of a text: the soft hyphen, the fillers of Hangul, Khmer and
#: Mongolian, zero-width spaces and joiners, marks and controls of direction, the byte order mark (Unicode's
#: ``Default_Ignorable_Code_Point`` without selectors and tags, which change emoji), and the blank Braille pattern.
_MARKS_AND_JOINERS, _SELECTORS = r"\u200c-\u200f", r"\u180b-\u180d\u180f"
_OTHERS = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0"
    r"\ufff0-\ufffc"
)
_INVISIBLE = _OTHERS + _MARKS_AND_JOINERS + _SELECTORS
_EDGES = re.compile(rf"\A[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+\Z")
_ANYWHERE = re.compile(rf"[{_INVISIBLE}\ufe00-\ufe0f\U000e0000-\U000e0fff]|[^\S\x00-\x7f]")
#: A joiner matters only between letters of a script that is joined, or between emoji; such scripts begin here.
_JOINED = r"\u0590-\U0010ffff"
_IN_A_NAME = re.compile(rf"[{_OTHERS}]|(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])")


_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def lower_ascii(text: str) -> str:
    """Return ``text`` with ASCII's capital letters in lower case, and no others.

    ``str.lower`` turns the Kelvin sign (U+212A) into ``k``, ``str.casefold`` a long s (U+017F) into ``s``: where a
    comparison decides about access, another person's name must not become equal.
    """
    return text.translate(_TO_LOWER)


def strip(text: str) -> str:
    """Return ``text`` without white space and invisible characters at its ends."""
    return text.strip() if text.isascii() else _EDGES.sub("", text)


def without_invisible(text: str) -> str:
    """Return ``text`` without invisible characters and white space beyond ASCII."""
    return text if text.isascii() else _ANYWHERE.sub("", text)


def without_invisible_in_name(text: str) -> str:
    """Return ``text`` without invisible characters that no script needs."""
    return text if text.isascii() else _IN_A_NAME.sub("", text)
