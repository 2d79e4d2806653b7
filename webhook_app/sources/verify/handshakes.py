"""How senders verify a URL before they use it, and the replies they expect.

A signed ping that expects only a 200 needs no handshake: ``test_if`` or ``ignore_if`` answers it.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from webhook_app.sources.delivery import Delivery, Unauthentic, present
from webhook_app.sources.mistakes import did_you_mean

#: Characters of a challenge that is sent back; usual are some dozens.
MAX_CHALLENGE = 512
TEXT, JSON = "text/plain; charset=utf-8", "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with status 200."""

    body: str
    content_type: str = JSON


OK = Reply("{}")

#: Raises ``Unauthentic`` if the request is not valid.
Visit = Callable[[Delivery], Reply]
Ping = Callable[[Delivery], Reply | None]
Challenge = Callable[[object], Reply | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What a source answers other than deliveries.

    ``visit`` answers GET and HEAD, which are verified like a delivery if ``is_signed``. ``ping`` answers an unsigned
    POST, and ``challenge`` an authentic payload; they return ``None`` for what is an ordinary delivery.
    """

    visit: Visit | None = field(default=None, repr=False)
    is_signed: bool = False
    ping: Ping | None = field(default=None, repr=False)
    challenge: Challenge | None = field(default=None, repr=False)


def make_handshake(name: object, secrets: tuple[str, ...], token: str) -> Handshake:
    """Return the handshake ``name``; ``token`` is the one that the sender sends.

    Raises:
        ValueError: there is no such handshake, or a secret or token is missing.
    """
    if not isinstance(name, str) or name not in HANDSHAKES:
        raise ValueError(f'there is no handshake "{name}"{did_you_mean(str(name), tuple(HANDSHAKES))}')
    return HANDSHAKES[name](secrets, token)


def _meta(_secrets: tuple[str, ...], token: str) -> Handshake:
    """developers.facebook.com, "Webhooks: getting started"."""
    if len(token) < 8:
        raise ValueError('needs the verify token: { name = "meta", token = "$NAME" }, of at least 8 characters')
    return Handshake(visit=partial(_echo_to_meta, token=token))


def _linkedin(secrets: tuple[str, ...], _token: str) -> Handshake:
    """learn.microsoft.com, LinkedIn's "Webhook validation"; needs the client secret."""
    if not secrets:
        raise ValueError("needs the client secret")
    return Handshake(visit=partial(_sign_for_linkedin, key=secrets[0].encode(errors="replace")))


def _echo_to_meta(delivery: Delivery, token: str) -> Reply:
    shown = present(delivery.args.get("hub.verify_token"), "the query argument hub.verify_token")
    challenge = present(delivery.args.get("hub.challenge"), "the query argument hub.challenge")
    if not hmac.compare_digest(shown.encode(errors="replace"), token.encode(errors="replace")):
        raise Unauthentic("the verify token does not match")
    if len(challenge) > MAX_CHALLENGE:
        raise Unauthentic("the challenge is too long")
    return Reply(challenge, TEXT)


def _sign_for_linkedin(delivery: Delivery, key: bytes) -> Reply:
    """Sign a UUID only: anything else could be the body of a forged delivery."""
    code = present(delivery.args.get("challengeCode"), "the query argument challengeCode")
    if not _UUID.fullmatch(code):
        raise Unauthentic("the challenge code is not a UUID")
    response = hmac.digest(key, code.encode(), "sha256").hex()
    return Reply(json.dumps({"challengeCode": code, "challengeResponse": response}))


def _echo_to_slack(payload: object) -> Reply | None:
    """docs.slack.dev, "url_verification event"."""
    if not isinstance(payload, dict) or payload.get("type") != "url_verification":
        return None
    challenge = payload.get("challenge")
    return Reply(json.dumps({"challenge": challenge[:MAX_CHALLENGE]})) if isinstance(challenge, str) else None


def _is_woocommerce_ping(delivery: Delivery) -> Reply | None:
    """class-wc-webhook.php, ``deliver_ping``: an unsigned form that must get a 200."""
    is_form = (delivery.headers.get("Content-Type") or "").startswith("application/x-www-form-urlencoded")
    return OK if is_form and _WOOCOMMERCE_PING.fullmatch(delivery.body) else None


def _answer_engagelab(delivery: Delivery) -> Reply | None:
    """Answer the unsigned requests with which EngageLab verifies a URL, now and again.

    engagelab.com/docs/otp/api/callback (and sms): the body ``{}``, and empty in an older version, as curl sends it.
    DevEngageLab/engagelab-skills at 0eb1ccd, engagelab-apppush/references/callback-api.md: a text to send back.
    """
    if _ENGAGELAB_CHECK.fullmatch(delivery.body):
        return OK
    echo = _ENGAGELAB_ECHO.fullmatch(delivery.body)
    return Reply(echo[1].decode(), TEXT) if echo else None


_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ENGAGELAB_CHECK = re.compile(rb"\s*(?:\{\s*\}\s*)?")
_ENGAGELAB_ECHO = re.compile(rb'\s*\{\s*"echostr"\s*:\s*"([0-9A-Za-z_-]{1,64})"\s*\}\s*')
_WOOCOMMERCE_PING = re.compile(rb"webhook_id=[0-9]{1,20}")

#: By the sender's name.
HANDSHAKES: Mapping[str, Callable[[tuple[str, ...], str], Handshake]] = {
    # GET with a challenge and the verify token
    "meta": _meta,
    # GET with a challenge code, again every two hours
    "linkedin": _linkedin,
    # a signed POST with a challenge
    "slack": lambda _secrets, _token: Handshake(challenge=_echo_to_slack),
    # GET when the URL is saved, with the token in the URL
    "mailchimp": lambda _secrets, _token: Handshake(visit=lambda _delivery: OK, is_signed=True),
    # an unsigned form when the webhook is saved
    "woocommerce": lambda _secrets, _token: Handshake(ping=_is_woocommerce_ping),
    # an unsigned POST without data, or with a text to send back
    "engagelab": lambda _secrets, _token: Handshake(ping=_answer_engagelab),
    # HEAD when the URL is saved
    "intercom": lambda _secrets, _token: Handshake(visit=lambda _delivery: OK),
}
