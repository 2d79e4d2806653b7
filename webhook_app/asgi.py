"""The application as ``bin/web`` serves it: ``webhook_app.asgi:app``."""

import gc
from wsgiref.types import WSGIEnvironment

from webhook_app.api.params import MAX_BODY_BYTES
from webhook_app.app import delivered_to
from webhook_app.bridge import Bridge
from webhook_app.bridge.bodies import BodyReader
from webhook_app.dashboard.blueprint import MAX_FORM_BYTES
from webhook_app.parts import Parts
from webhook_app.wsgi import app as flask_app
from worker.settings import load_settings

settings = load_settings()
sources = Parts.of(flask_app).sources
#: The most that any request may send. The application refuses more than one kind of request may send.
max_bytes = max(MAX_FORM_BYTES, MAX_BODY_BYTES, *(source.max_bytes for source in sources.values()))

#: The bytes of the largest delivery that runs in the event loop: reading it keeps all others waiting.
QUICK_BYTES = 16 * 1024


def is_quick(environ: WSGIEnvironment) -> bool:
    """Return whether a request is a delivery that is short and may not sleep."""
    source = delivered_to(environ, sources)
    return source is not None and source.blocking and int(environ.get("CONTENT_LENGTH") or 0) <= QUICK_BYTES


app = Bridge(
    flask_app,
    threads=settings.web_threads,
    bodies=BodyReader(timeout_s=settings.body_timeout_s, max_bytes=max_bytes),
    quick=is_quick,
)

# What exists now stays, and to look through it for garbage takes longer than answering a hundred deliveries. What these
# create is freed at once, but for the few things that refer to each other.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 10, 10)
