"""Styles and scripts, cached for a year because their addresses have a hash."""

import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from flask import abort, request, url_for
from werkzeug import Response

from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.session import needs

FOLDER = Path(__file__).resolve().parent.parent / "static"
FOREVER = "public, max-age=31536000, immutable"


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


#: By path below ``FOLDER``. They are few and small, so memory holds them; no other path is ever opened.
FILES = {path.relative_to(FOLDER).as_posix(): _read(path) for path in sorted(FOLDER.rglob("*")) if path.is_file()}
VERSION = sha256("".join(file.digest for file in FILES.values()).encode()).hexdigest()[:12]


@blueprint.app_template_global()
def static_url(name: str) -> str:
    """Return the address of a file."""
    return url_for("dashboard.static_file", digest=FILES[name].digest, name=name)


@blueprint.app_template_global()
def assets_version() -> str:
    """Return a digest of all files: pages of another version load themselves again."""
    return VERSION


@blueprint.get("/static/<digest>/<path:name>")
@needs(None)
def static_file(digest: str, name: str) -> Response:
    file = FILES.get(name) or abort(404)
    # During a rolling update a page of the other version asks: answer with our file, but do not let it be cached.
    headers = {"Cache-Control": FOREVER if digest == file.digest else "no-store", "Vary": "Accept-Encoding"}
    if request.accept_encodings.quality("gzip") > 0:
        headers["Content-Encoding"] = "gzip"
        return Response(file.zipped, 200, headers, content_type=file.content_type)
    return Response(file.content, 200, headers, content_type=file.content_type)
