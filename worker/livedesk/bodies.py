"""Bodies of answers as text: decompressed and decoded, both with a limit.

LiveDesk is asked for JSON in UTF-8 without compression. A proxy on the way may do otherwise.
"""

import codecs
import json
import re
import zlib
from collections.abc import Mapping

#: A full page of 15 contacts has about 30 KB.
MAX_ANSWER_BYTES = 1_000_000
#: How many compressions may be on top of each other.
MAX_ENCODINGS = 3
GZIP_MAGIC = b"\x1f\x8b"
#: Window sizes of ``zlib``: gzip or zlib, as the data says; deflate without a header.
AUTOMATIC, HEADERLESS = 47, -15
#: The charsets of the web. Python knows others which are slow or no charset.
CHARSET = re.compile(
    r'charset\s*=\s*["\']?((?:utf|us-ascii|iso[-_]?8859|latin|windows|cp125|gb|big5|euc|shift|koi8)[-_a-z0-9]{0,20})',
    re.IGNORECASE,
)


def decode(raw: bytes, headers: Mapping[str, str]) -> str | None:
    """Return the text of a body.

    ``None`` if it cannot be decompressed, or has more bytes than ``MAX_ANSWER_BYTES``.
    """
    content = _decompress(raw, headers.get("Content-Encoding", ""))
    if content is None or len(content) > MAX_ANSWER_BYTES:
        return None
    return content.decode(_charset(content, headers.get("Content-Type", "")), errors="replace")


def _decompress(raw: bytes, encodings: str) -> bytes | None:
    names = [name for each in encodings.split(",") if (name := each.strip().lower()) not in ("", "identity")]
    if not names and raw.startswith(GZIP_MAGIC):  # JSON and HTML never begin like this
        names = ["gzip"]
    if len(names) > MAX_ENCODINGS:
        return None
    content: bytes | None = raw
    for name in reversed(names):
        if not content:  # an answer without a body is not compressed, whatever it says
            return content
        if name not in ("gzip", "x-gzip", "deflate"):
            return None
        inflated = _inflate(content, AUTOMATIC)
        content = _inflate(content, HEADERLESS) if inflated is None and name == "deflate" else inflated
    return content


def _inflate(content: bytes, window: int) -> bytes | None:
    """Decompress up to one byte more than the limit; ``None`` if it is cut off."""
    inflater = zlib.decompressobj(window)
    try:
        result = inflater.decompress(content, MAX_ANSWER_BYTES + 1)
    except zlib.error:
        return None
    return result if inflater.eof or len(result) > MAX_ANSWER_BYTES else None


def _charset(content: bytes, content_type: str) -> str:
    """Return the charset of a body.

    A byte order mark decides, then the zeros of UTF-16 and UTF-32. Then it is UTF-8, as JSON must be, unless it is not
    valid UTF-8 and the header names another one.
    """
    detected = json.detect_encoding(content)
    if detected != "utf-8":
        return detected
    named = CHARSET.search(content_type)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return named[1] if named and _is_known(named[1]) else "utf-8"
    return "utf-8"


def _is_known(charset: str) -> bool:
    try:
        codecs.lookup(charset)
    except LookupError:
        return False
    return True
