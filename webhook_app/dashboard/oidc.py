"""OpenID Connect sign-in by Authlib: code flow with PKCE, state and nonce."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from flask import Flask, abort, current_app, redirect, request, session, url_for
from joserfc.errors import JoseError
from werkzeug import Response

from webhook_app.access import Provider
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.errors import page
from webhook_app.dashboard.session import MAX_NAME, begin, local_path, needs
from webhook_app.dashboard.sign_in import audit_failure, audit_session, forgive, network, retry_after, too_many
from webhook_app.parts import Parts, current_parts
from worker.model import Way
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Seconds to wait for each of the provider's answers.
TIMEOUT_S = 10
#: Accepted signatures of an ID token: asymmetric, because only the provider must have the key.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
#: What a provider may cause: network errors (OSError), and answers that make no sense (the others).
FAULTS = (AuthlibBaseError, JoseError, OSError, KeyError, TypeError, ValueError, RuntimeError)
#: What the metadata must name: where people, our secret and requests for keys are sent.
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
#: Characters of an unverified address, so that the name has room to say so.
MAX_EMAIL = MAX_NAME - len(" (unverified)")
#: Sign-ins that wait for the provider at once, in each process. Anybody can begin one, and must not take all threads
#: while the provider is slow.
MAX_WAITING = 4
#: Where an app keeps its client, which caches the provider's metadata, and the places of those who wait for it.
EXTENSION, PLACES = "livedesk_sync_oidc", "livedesk_sync_oidc_places"
#: How Authlib names what it keeps of a sign-in that has begun.
BEGUN = "_state_"


def init_app(app: Flask) -> None:
    """Prepare the client of the identity provider, if one is configured."""
    provider = Parts.of(app).access.provider
    app.extensions[EXTENSION] = _client(provider) if provider else None
    app.extensions[PLACES] = threading.BoundedSemaphore(MAX_WAITING)


@blueprint.get("/sign-in/provider")
@needs(None)
def sign_in_by_provider() -> Response:
    client = current_app.extensions[EXTENSION] or abort(404)
    wanted = local_path(request.args.get("next"))
    for name in [name for name in session if name.startswith(BEGUN)]:
        del session[name]
    session["next"] = wanted
    try:
        with _waiting_place():
            check_metadata(client.load_server_metadata(), current_parts().access.provider or abort(404))
            answer: Response = client.authorize_redirect(url_for("dashboard.provider_answered", _external=True))
    except FAULTS as error:
        return _failed(error)
    return answer


@blueprint.get("/sign-in/provider/answer")
@needs(None)
def provider_answered() -> Response:
    """End a sign-in.

    Failed ones are counted apart from those with a password, which somebody could guess: that locks
    nobody of the same network out here.
    """
    parts = current_parts()
    provider = parts.access.provider or abort(404)
    wanted = local_path(session.get("next"))
    attempt = parts.store.rate_limiter.try_sign_in(network(request.remote_addr), Way.PROVIDER)
    if attempt.wait_ms:
        response = page(429, "Too many failed sign-ins", too_many(attempt))
        response.headers["Retry-After"] = retry_after(attempt.wait_ms)
        return response
    try:
        with _waiting_place():
            claims = _claims(current_app.extensions[EXTENSION], provider)
    except OSError as error:  # the provider is down, which is nobody's failed sign-in
        forgive(parts, attempt, succeeded=False)
        return _failed(error)
    except FAULTS as error:
        audit_failure(parts, attempt)
        return _failed(error)
    role = provider.role_of(claims)
    if role is None:
        audit_failure(parts, attempt, "no access")
        return page(
            403,
            "You have no access",
            "You are signed in, but neither OIDC_OPERATORS nor OIDC_VIEWERS lists you or one of your groups.",
        )
    forgive(parts, attempt)
    begin(parts, name_in(claims), role, Way.PROVIDER)
    audit_session(parts, "signed in", role)
    return redirect(wanted, 303)


@contextmanager
def _waiting_place() -> Iterator[None]:
    """Wait for the provider, unless too many do.

    Raises:
        TimeoutError: they do.
    """
    places: threading.BoundedSemaphore = current_app.extensions[PLACES]
    if not places.acquire(blocking=False):
        raise TimeoutError
    try:
        yield
    finally:
        places.release()


def _client(provider: Provider) -> Any:
    """Return Authlib's client, which fetches the provider's metadata on first use."""
    return FlaskOAuth2App(
        FlaskIntegration("provider"),
        "provider",
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        server_metadata_url=f"{provider.issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "default_timeout": TIMEOUT_S},
    )


def _claims(client: Any, provider: Provider) -> dict[str, Any]:
    """Return the claims of an ID token issued to us, now, for this browser.

    Raises:
        Exception: one of ``FAULTS``.
    """
    metadata = check_metadata(client.load_server_metadata(), provider)
    metadata["id_token_signing_alg_values_supported"] = ALGORITHMS
    token = client.authorize_access_token(
        claims_options={
            "iss": {"essential": True, "value": metadata["issuer"]},
            "aud": {"essential": True, "value": provider.client_id},
        }
    )
    return dict(token["userinfo"])


def name_in(claims: dict[str, Any]) -> str:
    """Return the name for the audit log: only a verified e-mail address stands alone."""
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        return str(claims["sub"])
    return email if claims.get("email_verified") is True else f"{email[:MAX_EMAIL]} (unverified)"


def check_metadata(metadata: dict[str, Any], provider: Provider) -> dict[str, Any]:
    """Return the provider's metadata, if it is this one's and keeps our secret.

    Raises:
        Exception: one of ``FAULTS``.
    """
    if metadata["issuer"].rstrip("/") != provider.issuer:
        raise ValueError("the metadata names another issuer")
    scheme = urlsplit(provider.issuer).scheme
    if any(urlsplit(metadata[name]).scheme not in ("https", scheme) for name in ENDPOINTS):
        raise ValueError("the metadata names an endpoint without TLS")
    return metadata


def _failed(error: Exception) -> Response:
    log.warning(LogEvent("sign-in failed", method="identity provider", error=type(error).__name__))
    return page(
        502,
        "Sign-in with the identity provider failed",
        "The provider could not be reached, or its answer was not valid. Try again from the sign-in page.",
    )
