"""Senders of no particular make: your own code, automation tools, anything that signs in a common way."""

from collections.abc import Mapping
from typing import Any

from webhook_app.sources.presets.preset import CHOSEN, Preset

#: Where most systems put the contact and what they call its fields.
USUAL_NAMES: Mapping[str, Any] = {
    "contact": ["$.data.user", "$.data", "$.user", "$"],
    "map": {
        "identifier": ["$.identifier", "$.id", "$.user_id", "$.userId"],
        "email": ["$.email", "$.email_address", "$.emailAddress"],
        "name": [
            "$.name",
            "$.full_name",
            "$.fullName",
            {"join": ["$.first_name", "$.last_name"], "with": " "},
            {"join": ["$.firstName", "$.lastName"], "with": " "},
        ],
        "phone_number": ["$.phone_number", "$.phoneNumber", "$.phone"],
        "avatar_url": ["$.avatar_url", "$.avatarUrl", "$.avatar", "$.image_url", "$.imageUrl", "$.picture"],
    },
}
_PEOPLE = ("user", "contact", "customer", "member", "account", "subscriber", "lead")
#: Types that are certainly no signup. What a signup is called, a generic preset cannot know.
NO_SIGNUPS = ["ping", "test", *(f"{who}.{what}" for who in _PEOPLE for what in ("updated", "deleted"))]
NOT_THESE: Mapping[str, Any] = {"$.type": NO_SIGNUPS, "$.event": NO_SIGNUPS, "$.event_type": NO_SIGNUPS}
_SIGNUP = (
    "Every delivery, except those whose `type`, `event` or `event_type` is `ping`, `test` or one like "
    "`user.updated` and `user.deleted`."
)
_NARROW = 'Say what a signup is called, if the sender has other events too: `only_if = { "$.type" = "user.created" }`.'
_OTHER_NAMES = 'Where the payload has other names, say which: `map = { identifier = "$.member_no" }`.'

PRESETS: Mapping[str, Preset] = {
    "standard-webhooks": {
        "title": "Standard Webhooks",
        "verify": "standard-webhooks",
        "contact": USUAL_NAMES["contact"],
        "map": USUAL_NAMES["map"],
        "ignore_if": NOT_THESE,
        "signup": _SIGNUP,
        "console": ["Enter the address `{url}` in the sender, and copy the secret that it signs with."],
        "secret_hint": "Begins with `whsec_`; a public key (ed25519) begins with `whpk_`.",
        "notes": [
            _NARROW,
            _OTHER_NAMES,
            "The standard allows payloads that hold only an id: they make a contact with nothing but an identifier.",
        ],
    },
    "generic-hmac": {
        "title": "Generic HMAC",
        "verify": {"scheme": "hmac", "header": "X-Webhook-Signature", "hash": "sha256", "prefix": "sha256="},
        "contact": USUAL_NAMES["contact"],
        "map": USUAL_NAMES["map"],
        "ignore_if": NOT_THESE,
        "signup": _SIGNUP,
        "console": [
            "Let the sender post JSON to `{url}`, with the header `X-Webhook-Signature: sha256=<hex>`, where "
            "`<hex>` is the HMAC-SHA256 of the body as it is sent."
        ],
        "secret_hint": CHOSEN,
        "notes": [
            'Another header: `verify = { header = "X-Signature", prefix = "" }`; all options are in '
            "`sources.example.toml`.",
            _NARROW,
            _OTHER_NAMES,
        ],
    },
    "generic-bearer": {
        "title": "Generic bearer token (Zapier, Make, n8n, your own code)",
        "verify": {"scheme": "token", "header": "Authorization"},
        "body": ["json", "form"],
        "contact": USUAL_NAMES["contact"],
        "map": USUAL_NAMES["map"],
        "ignore_if": NOT_THESE,
        "signup": _SIGNUP,
        "console": [
            "Let the sender post JSON (or a form) to `{url}`, with the header `Authorization: Bearer <the secret>`."
        ],
        "secret_hint": CHOSEN,
        "notes": [
            'Another header: `verify = { header = "X-Api-Key" }`. A sender that can set no header: `verify = { '
            'scheme = "token", query = "token" }`, and `?token=<the secret>` after the address.',
            _NARROW,
            _OTHER_NAMES,
        ],
    },
    "svix": {
        "title": "Svix",
        "verify": "standard-webhooks",
        "contact": USUAL_NAMES["contact"],
        "map": USUAL_NAMES["map"],
        "ignore_if": NOT_THESE,
        "signup": _SIGNUP,
        "console": [
            "In the product's webhook page (Svix calls it the App Portal), add an endpoint with the address `{url}`.",
            "Open the endpoint and copy its signing secret.",
        ],
        "secret_hint": "Begins with `whsec_`.",
        "notes": [
            "For any product that sends by Svix and has no preset of its own. The headers may be named `svix-...` "
            "or `webhook-...`: both are taken.",
            _NARROW,
            _OTHER_NAMES,
        ],
    },
}
