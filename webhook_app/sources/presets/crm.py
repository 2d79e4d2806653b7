"""CRM, messengers and customer data: somebody is known from now on."""

from collections.abc import Mapping

from webhook_app.sources.presets.preset import CHOSEN, Preset


def _traits(*places: str) -> Mapping[str, object]:
    """The map of an event of Segment's specification, whose traits are in the first of ``places`` that has them."""
    first = [f"{place}.{name}" for place in places for name in ("firstName", "firstname", "first_name")]
    last = [f"{place}.{name}" for place in places for name in ("lastName", "lastname", "last_name")]
    return {
        "identifier": ["$.userId", "$.anonymousId"],
        "email": [f"{place}.email" for place in places],
        "name": [*(f"{place}.name" for place in places), {"join": [first, last], "with": " "}],
        "phone_number": [f"{place}.phone" for place in places],
        "avatar_url": [f"{place}.avatar" for place in places],
    }


_TOLD = {"name": "`name` among the traits, or else `firstName` and `lastName`"}
#: Found in an ``identify`` of somebody who is not signed in and has told no e-mail address.
_NOBODY = (
    "$[?@ == 'identify' && (!$.userId || $.userId == null || $.userId == '') && "
    "!match($.traits.email, '.+') && !match($.context.traits.email, '.+')]"
)
_UPSERT = (
    "Apps call `identify` at every login, not once: the first makes the contact, the others are deliveries of a "
    "known one."
)
_ANONYMOUS = (
    "Somebody without `userId` is known by `anonymousId`, and becomes another contact after signing up. To refuse "
    'them: `map = { identifier = "$.userId" }`.'
)

PRESETS: Mapping[str, Preset] = {
    "hubspot-workflow": {
        "title": "HubSpot: a workflow's webhook",
        "verify": {"scheme": "token", "header": "Authorization"},
        "map": {
            "identifier": [
                "$.vid",
                "$.hs_object_id",
                "$.objectId",
                "$.properties.hs_object_id.value",
                "$.properties.hs_object_id",
            ],
            "email": ["$.properties.email.value", "$.properties.email", "$.email"],
            "name": {
                "join": [
                    ["$.properties.firstname.value", "$.properties.firstname", "$.firstname"],
                    ["$.properties.lastname.value", "$.properties.lastname", "$.lastname"],
                ],
                "with": " ",
            },
            "phone_number": [
                "$.properties.phone.value",
                "$.properties.phone",
                "$.phone",
                "$.properties.mobilephone.value",
                "$.properties.mobilephone",
                "$.mobilephone",
            ],
        },
        "signup": "Every delivery: the workflow decides who is enrolled.",
        "console": [
            "In HubSpot, open Automation > Workflows and create a contact-based one, enrolling contacts when they "
            "are created.",
            "Add the action Send a webhook. Method: POST. Webhook URL: `{url}`.",
            "Authentication type: API key. Create a secret in HubSpot with the value `Bearer <the secret>`; API key "
            "name: `Authorization`; API key location: Request header.",
            "Request body: include all contact properties; or choose Record ID, Email, First name, Last name, Phone "
            "number.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "Webhooks in workflows need a HubSpot subscription that has them. The webhooks of HubSpot apps hold "
            "only an id and are not supported.",
            "HubSpot tries again for three days, but not after a 4xx.",
        ],
    },
    "intercom": {
        "title": "Intercom",
        "verify": {"scheme": "hmac", "header": "X-Hub-Signature", "hash": "sha1", "prefix": "sha1="},
        "handshake": "intercom",
        "contact": "$.data.item",
        "map": {
            "identifier": ["$.external_id", "$.id"],
            "email": "$.email",
            "name": "$.name",
            "phone_number": "$.phone",
            "avatar_url": ["$.avatar.image_url", "$.avatar"],
        },
        "only_if": {"$.topic": ["contact.user.created", "contact.lead.created", "contact.lead.added_email"]},
        "signup": "`contact.user.created`, `contact.lead.created` and `contact.lead.added_email`.",
        "console": [
            "In Intercom's Developer Hub, open your app > Webhooks, set the endpoint `{url}` and choose the topics "
            "`contact.user.created`, `contact.lead.created` and `contact.lead.added_email`.",
            "Under Basic information, copy the client secret.",
        ],
        "secret_hint": "The app's client secret.",
        "notes": [
            "Leads have no e-mail address when they are created; it comes with `contact.lead.added_email`.",
            'Users only: `only_if = { "$.topic" = "contact.user.created" }`.',
        ],
    },
    "segment-identify": {
        "title": "Segment: identify",
        "verify": {"scheme": "hmac", "header": "X-Signature", "hash": "sha1", "first_element_only": True},
        "map": _traits("$.traits", "$.context.traits"),
        "told": _TOLD,
        "only_if": {"$.type": "identify"},
        "ignore_if": {_NOBODY: {"exists": True}},
        "signup": "`identify` with a `userId`, or with an e-mail address.",
        "console": [
            "In Segment, open Connections > Destinations and add Webhooks.",
            "Webhook URL: `{url}`. Shared Secret: the secret.",
            "Send it identify calls only.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            _UPSERT,
            _ANONYMOUS,
            "Switch batches off: Segment signs nothing but the first event of a batch, so a delivery with more than "
            "one is refused.",
        ],
    },
    "segment-track": {
        "title": "Segment: track",
        "verify": {"scheme": "hmac", "header": "X-Signature", "hash": "sha1", "first_element_only": True},
        "map": _traits("$.context.traits", "$.properties", "$.traits"),
        "told": _TOLD,
        "only_if": {"$.type": "track", "$.event": "Signed Up"},
        "signup": "`track` with the event `Signed Up`.",
        "console": [
            "In Segment, open Connections > Destinations and add Webhooks.",
            "Webhook URL: `{url}`. Shared Secret: the secret.",
            "Send it the event that your app tracks at signup only.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            'If your event has another name: `only_if = { "$.type" = "track", "$.event" = ["Registered", "Account '
            'Created"] }`.',
            _ANONYMOUS,
            "Switch batches off: Segment signs nothing but the first event of a batch, so a delivery with more than "
            "one is refused.",
        ],
    },
    "rudderstack": {
        "title": "RudderStack",
        "verify": {"scheme": "token", "header": "Authorization"},
        "map": _traits("$.context.traits", "$.traits"),
        "told": _TOLD,
        "only_if": {"$.type": "identify"},
        "ignore_if": {_NOBODY: {"exists": True}},
        "signup": "`identify` with a `userId`, or with an e-mail address.",
        "console": [
            "In RudderStack, add a Webhook destination with the address `{url}` and the method POST.",
            "Add the header `Authorization` with the value `Bearer <the secret>`.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            _UPSERT,
            _ANONYMOUS,
            'A tracked event instead: `only_if = { "$.type" = "track", "$.event" = "Signed Up" }`.',
        ],
    },
}
