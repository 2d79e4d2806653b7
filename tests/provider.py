"""A local OpenID Connect provider, strict as a real one, that tests can make lie."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlencode

from flask import Flask, redirect, request
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from werkzeug import Response
from werkzeug.exceptions import BadRequest
from werkzeug.serving import make_server

from tests.rig.processes import LOCALHOST

CLIENT_ID, CLIENT_SECRET = "livedesk-sync", "the-secret-of-the-client"


@cache
def new_key(name: str) -> RSAKey:
    """A key of this name, the same each time: making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


class Provider:
    """Signs everybody in as ``person``.

    ``lie`` may change the claims of each ID token, ``sign`` how it is signed.
    """

    def __init__(self) -> None:
        self.url = ""
        self.person: dict[str, Any] = {"sub": "1", "email": "ada@example.com", "email_verified": True}
        self.lie: Callable[[dict[str, Any]], object] = lambda claims: None
        self.sign: Callable[[dict[str, Any]], str] = self.sign_with_our_key
        self.issuer: str | None = None
        self.key = new_key("1")
        self.requests: dict[str, dict[str, str]] = {}
        self.is_down = False
        #: Cleared: no request is answered until it is set again.
        self.answers = threading.Event()
        self.answers.set()

    def sign_with_our_key(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def app(self) -> Flask:
        app = Flask(__name__)

        @app.before_request
        def down() -> Response | None:
            self.answers.wait(timeout=30)
            return Response("<h1>Bad gateway</h1>", 502) if self.is_down else None

        @app.get("/.well-known/openid-configuration")
        def metadata() -> dict[str, Any]:
            return {
                "issuer": self.issuer or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            }

        @app.get("/keys")
        def keys() -> dict[str, Any]:
            return {"keys": [self.key.as_dict(private=False)]}

        @app.get("/authorize")
        def authorize() -> Response:
            wanted = request.args.to_dict()
            if (wanted["response_type"], wanted["client_id"]) != ("code", CLIENT_ID):
                raise BadRequest
            if wanted["code_challenge_method"] != "S256" or "openid" not in wanted["scope"].split():
                raise BadRequest
            code = secrets.token_urlsafe(8)
            self.requests[code] = wanted
            return redirect(f"{wanted['redirect_uri']}?{urlencode({'code': code, 'state': wanted['state']})}")

        @app.post("/token")
        def token() -> dict[str, Any]:
            wanted = self.requests.pop(request.form["code"])  # a code is valid once
            digest = hashlib.sha256(request.form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            who = request.authorization
            if who is None or (who.username, who.password) != (CLIENT_ID, CLIENT_SECRET):
                raise BadRequest
            if challenge != wanted["code_challenge"] or request.form["redirect_uri"] != wanted["redirect_uri"]:
                raise BadRequest
            now = int(time.time())
            claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": wanted["nonce"]}
            claims |= self.person
            self.lie(claims)
            return {"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": self.sign(claims)}

        return app


def sign_as_nobody(claims: dict[str, Any]) -> str:
    """As somebody signs who has no key: ``alg`` none."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def sign_with_the_client_s_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET), algorithms=["HS256"])


def sign_with_another_key(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "1"}, claims, new_key("another"))


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    server = make_server(LOCALHOST, 0, provider.app(), threaded=True)
    provider.url = f"http://{LOCALHOST}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
