"""Deliveries as products send them: signed samples, with any change.

The signatures are computed here or by another library, never by our own code.
"""

import base64
import copy
import datetime
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from standardwebhooks.webhooks import Webhook
from werkzeug.datastructures import Headers

from webhook_app.sources import Source
from webhook_app.sources.config import read_source
from webhook_app.sources.delivery import Delivery
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.sample import SAMPLES, sample_files
from webhook_app.sources.verify.schemes import key_sets
from worker.model import Contact, Signup

SENDERS = SAMPLES
NOW = 1_700_000_000
#: Seconds that fetching keys takes at most.
FETCH_S = 60
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = "test_secret_key"
#: The name of the key with which tokens are signed.
KID = "key-1"
#: What a change takes away.
GONE = object()

SVIX = ("svix", "clerk", "stytch", "memberstack")
STANDARD = ("standard-webhooks", "supabase-auth-hook")
BEARER = (
    "generic-bearer",
    "supabase-db-webhook",
    "auth0-event-stream",
    "auth0-log-stream",
    "kratos",
    "firebase",
    "cognito",
    "hubspot-workflow",
    "rudderstack",
    "wordpress",
)
QUERY = ("jotform", "mailchimp", "engagelab-whatsapp")
TOKENS = (*BEARER, *QUERY, "google-ads-lead")
#: Whose signature does not cover the body.
CALLBACKS = ("engagelab-otp", "engagelab-sms")

#: Phone numbers of the samples that are not E.164, as they are after normalisation in the region US;
#: ``None`` for those that are not valid there.
PHONES = {
    "(281) 332-2575": "+12813322575",
    "+48 22 555 01 00": "+48225550100",
    "5550100": None,
    "555-0100": None,
    "(555) 555-5555": None,
    "303-555-1234": "+13035551234",
    "(555) 555-0142": None,
    "(202) 555-0191": "+12025550191",
    "15550000000": None,
}


def hexed(message: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(SECRET.encode(), message, algorithm).hexdigest()


def callback_id(nonce: str = "83021957", *, now: int = NOW, username: str = "livedesk", secret: str = SECRET) -> str:
    """EngageLab's header, by the formula of engagelab.com/docs/otp/api/callback."""
    signature = hmac.new(secret.encode(), f"{now}{nonce}{username}".encode(), hashlib.sha256).hexdigest()
    return f"timestamp={now};nonce={nonce};username={username};signature={signature}"


def base64ed(message: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), message, "sha256").digest()).decode()


def timed(template: str, header: str, milliseconds: bool = False) -> Callable[[bytes], dict[str, str]]:
    """Signs ``<t>.<body>`` or ``template``; ``header`` receives time and signature."""
    t = f"{NOW}000" if milliseconds else str(NOW)

    def headers(body: bytes) -> dict[str, str]:
        before, after = template.split("{body}")
        signature = hexed(before.format(t=t).encode() + body + after.format(t=t).encode())
        name, _, value = header.partition(": ")
        return {name: value.format(t=t, signature=signature)}

    return headers


#: The headers with which a product signs a body.
SIGNED: Mapping[str, Callable[[bytes], dict[str, str]]] = {
    "generic-hmac": lambda body: {"X-Webhook-Signature": "sha256=" + hexed(body)},
    "keycloak": lambda body: {"X-Keycloak-Signature": hexed(body)},
    "shopify": lambda body: {"X-Shopify-Hmac-Sha256": base64ed(body)},
    "woocommerce": lambda body: {"X-WC-Webhook-Signature": base64ed(body)},
    "lemonsqueezy": lambda body: {"X-Signature": hexed(body)},
    "intercom": lambda body: {"X-Hub-Signature": "sha1=" + hexed(body, "sha1")},
    "segment-identify": lambda body: {"X-Signature": hexed(body, "sha1")},
    "segment-track": lambda body: {"X-Signature": hexed(body, "sha1")},
    "typeform": lambda body: {"Typeform-Signature": "sha256=" + base64ed(body)},
    "tally": lambda body: {"Tally-Signature": base64ed(body)},
    "discourse": lambda body: {"X-Discourse-Event-Signature": "sha256=" + hexed(body)},
    "github": lambda body: {"X-Hub-Signature-256": "sha256=" + hexed(body)},
    "workos": timed("{t}.{body}", "WorkOS-Signature: t={t}, v1={signature}", milliseconds=True),
    "stripe": timed("{t}.{body}", "Stripe-Signature: t={t},v1={signature},v0=6ffbb59b"),
    "paddle": timed("{t}:{body}", "Paddle-Signature: ts={t};h1={signature}"),
    "calendly": timed("{t}.{body}", "Calendly-Webhook-Signature: t={t},v1={signature}"),
    "ghost": timed("{body}{t}", "X-Ghost-Signature: sha256={signature}, t={t}", milliseconds=True),
    "webflow": lambda body: {
        "x-webflow-timestamp": f"{NOW}000",
        "x-webflow-signature": hexed(f"{NOW}000:".encode() + body),
    },
    **dict.fromkeys(CALLBACKS, lambda _body: {"X-CALLBACK-ID": callback_id()}),
    "slack": lambda body: {
        "X-Slack-Request-Timestamp": str(NOW),
        "X-Slack-Signature": "v0=" + hexed(f"v0:{NOW}:".encode() + body),
    },
}


class Keys:
    """A product's key pair, and the address where it publishes the public half.

    ``asked`` counts requests for it; ``answer`` answers them in another way.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self.private.public_key().public_numbers()
        n, e = (base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
        self.document = json.dumps({"keys": [{"kty": "RSA", "kid": KID, "alg": "RS256", "use": "sig", "n": n, "e": e}]})

    def token(self, claims: object) -> str:
        head = json.dumps({"alg": "RS256", "typ": "JWT", "kid": KID}).encode()
        text = f"{base64url(head)}.{base64url(json.dumps(claims).encode())}"
        return f"{text}.{base64url(self.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@contextmanager
def published_keys() -> Iterator[Keys]:
    """Keys whose public half is served on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.asked += 1
            if keys.answer is not None:
                keys.answer(self)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(keys.document.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    keys = Keys(f"http://127.0.0.1:{server.server_port}/jwks.json")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sample(preset: str, event: str | None = None) -> dict[str, Any]:
    """Return the sample of an event, by default that of the signup."""
    files = sample_files(preset)
    data: dict[str, Any] = json.loads(files[event or next(iter(files))].read_text(encoding="utf-8"))
    return data


def written(preset: str, jwks: str = "https://keys.example.com/jwks.json") -> dict[str, Any]:
    """What a sources file has to say for this preset at least."""
    if "secret_hint" in PRESETS[preset]:
        return {"preset": preset, "secret": WHSEC if preset in (*SVIX, *STANDARD) else SECRET}
    return {"preset": preset, "verify": {"jwks": jwks}}


def prepared(source: Source, now: float = NOW) -> Source:
    """Return the source when it has tried to fetch its keys, where that is due."""
    for each in key_sets(source.verifiers):
        each.refresh(now)
        each.wait(FETCH_S)
    return source


def source(preset: str, keys: Keys, **more: Any) -> Source:
    """Return a source with the preset, which has its keys if they are published."""
    made = read_source(preset, {**written(preset, keys.url), "region": "US", **more}, {})
    return prepared(made) if keys.url.startswith("http:") else made


def multipart(fields: Mapping[str, str], boundary: str) -> bytes:
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


def delivery(preset: str, body: object, headers: Mapping[str, str], keys: Keys) -> Delivery:
    """``body`` as the product sends and signs it at ``NOW``."""
    sent: dict[str, str] = {**headers}
    args: dict[str, str] = {}
    raw = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
    if preset == "kinde":
        raw = keys.token(body).encode()
    elif preset == "jotform":
        assert isinstance(body, dict)
        raw = multipart(body, "boundary")
        sent["Content-Type"] = "multipart/form-data; boundary=boundary"
    if preset in (*SVIX, *STANDARD):
        family = "svix" if preset in SVIX else "webhook"
        at = datetime.datetime.fromtimestamp(NOW, tz=datetime.UTC)
        sent |= {f"{family}-id": "msg_1", f"{family}-timestamp": str(NOW)}
        sent[f"{family}-signature"] = Webhook(WHSEC).sign("msg_1", at, raw.decode())
    elif preset in BEARER:
        sent["Authorization"] = f"Bearer {SECRET}"
    elif preset in QUERY:
        args["token"] = SECRET
    elif preset == "fusionauth":
        digest = base64.b64encode(hashlib.sha256(raw).digest()).decode()
        sent["X-FusionAuth-Signature-JWT"] = keys.token({"request_body_sha256": digest})
    elif preset in SIGNED:
        sent |= SIGNED[preset](raw)
    return Delivery(Headers(sent), raw, args)


def sample_delivery(
    preset: str, keys: Keys, changes: Mapping[str, object] | None = None, event: str | None = None
) -> Delivery:
    """Return the sample of an event with ``changes``, by path or by ``header:`` and a name."""
    data = sample(preset, event)
    body, headers = data["body"], dict(data["headers"])
    if preset == "google-ads-lead":
        body["google_key"] = SECRET
    for place, value in (changes or {}).items():
        if place == "body":
            body = value
        elif place.startswith("header:"):
            headers[place.removeprefix("header:")] = str(value)
        else:
            body = changed(body, place, value)
    return delivery(preset, body, headers, keys)


def changed(body: Any, place: str, value: object) -> Any:
    """Return ``body`` with another value at ``place``: ``data.emails.0.email``."""
    if isinstance(body, str):
        return urlencode({**dict(parse_qsl(body, keep_blank_values=True)), place: value})
    made = copy.deepcopy(body)
    *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    parent = made
    for step in way:
        parent = parent[step]
    if value is GONE:
        del parent[last]
    elif isinstance(parent, list) and last == len(parent):
        parent.append(value)
    else:
        parent[last] = value
    return made


def expected(preset: str, event: str | None = None) -> Contact | None:
    fields = sample(preset, event)["expected_contact"]
    if fields is None:
        return None
    phone = fields.get("phone_number")
    return Contact(**{**fields, "phone_number": PHONES.get(phone, phone)})


def contacts(found: Source, sent: Delivery) -> list[Contact]:
    """The contacts in a delivery."""
    return [reading.contact for reading in readings(found, sent)]


def readings(found: Source, sent: Delivery) -> list[Signup]:
    """What a source reads in a delivery, without what is not a signup."""
    read = found.read_payload(found.reader.read(sent), sent.headers)
    return [reading for reading in (read if isinstance(read, list) else [read]) if reading]
