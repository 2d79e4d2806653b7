"""Signing in by an OpenID Connect provider: authorization code with PKCE, state and nonce, by Authlib."""

import logging
from typing import TYPE_CHECKING, Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from flask import Blueprint, abort, redirect, request, session, url_for
from joserfc.errors import JoseError
from werkzeug import Response

from webhook_app.access import Provider
from webhook_app.dashboard.errors import page
from webhook_app.dashboard.session import begin, local_path, needs

if TYPE_CHECKING:
    from webhook_app.parts import Parts

log = logging.getLogger(__name__)

#: Seconds to wait for each answer of the provider.
TIMEOUT_S = 10
#: Signatures that an ID token may have: by keys that the provider alone holds.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
#: What goes wrong between us and a provider: the network (OSError), its answers (ValueError where they make no sense).
FAULTS = (AuthlibBaseError, JoseError, OSError, KeyError, TypeError, ValueError, RuntimeError)


def register(views: Blueprint, parts: "Parts") -> None:
    provider = parts.access.provider
    client = _client(provider) if provider else None

    @views.get("/sign-in/provider", endpoint="sign_in_by_provider")
    @needs(None)
    def go() -> Response:
        if client is None:
            abort(404)
        wanted = local_path(request.args.get("next"))
        session.clear()
        session["next"] = wanted
        try:
            answer: Response = client.authorize_redirect(url_for("dashboard.provider_answered", _external=True))
        except FAULTS as error:
            return _no_answer(error)
        return answer

    @views.get("/sign-in/provider/answer", endpoint="provider_answered")
    @needs(None)
    def come_back() -> Response:
        if client is None or provider is None:
            abort(404)
        wanted = local_path(session.get("next"))
        try:
            claims = _claims(client, provider)
        except FAULTS as error:
            return _no_answer(error)
        role = provider.role_of(claims)
        if role is None:
            return page(
                403,
                "You have no role here",
                "Your provider knows you, but neither OIDC_OPERATORS nor OIDC_VIEWERS names you or a group of yours.",
            )
        begin(str(claims.get("email") or claims["sub"]), role, parts.clock())
        return redirect(wanted, 303)


def _client(provider: Provider) -> Any:
    """Authlib's client. It reads the provider's metadata when it is first used, not while we start."""
    return FlaskOAuth2App(
        FlaskIntegration("provider"),
        "provider",
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        server_metadata_url=f"{provider.issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "default_timeout": TIMEOUT_S},
    )


def _claims(client: Any, provider: Provider) -> dict[str, Any]:
    """What the provider says about the person, from an ID token that was made for us, now, on this browser's request.

    Raises:
        Exception: one of ``FAULTS``.
    """
    metadata = client.load_server_metadata()
    if metadata["issuer"].rstrip("/") != provider.issuer:
        raise ValueError("the metadata are somebody else's")
    metadata["id_token_signing_alg_values_supported"] = ALGORITHMS
    token = client.authorize_access_token(
        claims_options={
            "iss": {"essential": True, "value": metadata["issuer"]},
            "aud": {"essential": True, "value": provider.client_id},
        }
    )
    return dict(token["userinfo"])


def _no_answer(error: Exception) -> Response:
    log.warning("signing in by the identity provider failed: %s", type(error).__name__)
    return page(
        502,
        "The identity provider did not let you in",
        "It could not be reached, or its answer did not fit to what was asked. Try again from the sign-in page.",
    )
