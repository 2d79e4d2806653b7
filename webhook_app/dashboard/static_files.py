"""Style and scripts. The address of each holds a hash of its content, so that browsers may keep it for a year."""

import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, abort, request, url_for
from werkzeug import Response

from webhook_app.dashboard.session import needs

if TYPE_CHECKING:
    from webhook_app.parts import Parts

FOLDER = Path(__file__).resolve().parent.parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    zipped: bytes
    digest: str
    content_type: str


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    return StaticFile(content, gzip.compress(content, 9, mtime=0), sha256(content).hexdigest()[:12], content_type)


#: By path below ``FOLDER``; few and small, so they are kept in memory. No other path is ever opened.
FILES = {path.relative_to(FOLDER).as_posix(): _read(path) for path in sorted(FOLDER.rglob("*")) if path.is_file()}


def static_url(name: str) -> str:
    """The address of a file, for templates."""
    return url_for("dashboard.static_file", digest=FILES[name].digest, name=name)


def register(views: Blueprint, _parts: "Parts") -> None:
    views.add_app_template_global(static_url)

    @views.get("/static/<digest>/<path:name>")
    @needs(None)
    def static_file(digest: str, name: str) -> Response:
        file = FILES.get(name) or abort(404)
        # A page of another version asks, while the new one is being rolled out: today's file, but not to be kept.
        cache = FOR_EVER if digest == file.digest else "no-store"
        headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
        if request.accept_encodings.quality("gzip") > 0:
            headers["Content-Encoding"] = "gzip"
            return Response(file.zipped, 200, headers, content_type=file.content_type)
        return Response(file.content, 200, headers, content_type=file.content_type)
