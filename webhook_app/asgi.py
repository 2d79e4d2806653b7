"""The application as ``bin/web`` serves it: ``webhook_app.asgi:app``."""

from webhook_app.api.params import MAX_BODY_BYTES
from webhook_app.bridge import Bridge
from webhook_app.bridge.bodies import BodyReader
from webhook_app.dashboard.blueprint import MAX_FORM_BYTES
from webhook_app.parts import Parts
from webhook_app.wsgi import app as flask_app
from worker.settings import load_settings

settings = load_settings()
sources = Parts.of(flask_app).sources.values()
#: The most that any request may send. The application refuses more than one kind of request may send.
max_bytes = max(MAX_FORM_BYTES, MAX_BODY_BYTES, *(source.max_bytes for source in sources))

app = Bridge(
    flask_app,
    threads=settings.web_threads,
    bodies=BodyReader(timeout_s=settings.body_timeout_s, max_bytes=max_bytes),
)
