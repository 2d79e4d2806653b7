"""Identity services that are rented."""

from collections.abc import Mapping

from webhook_app.sources.presets.preset import CHOSEN, Preset

#: Supabase keeps numbers without their plus.
_DIGITS = "$[?match(@, '[1-9][0-9]{6,}') && @ == $.phone]"


def _supabase(metadata: str) -> Mapping[str, object]:
    """The map of a user of Supabase, whose own data is under ``metadata``."""
    return {
        "identifier": "$.id",
        "email": "$.email",
        "name": [
            f"$.{metadata}.full_name",
            f"$.{metadata}.name",
            {"join": [f"$.{metadata}.first_name", f"$.{metadata}.last_name"], "with": " "},
        ],
        "phone_number": [{"path": _DIGITS, "prefix": "+"}, "$.phone"],
        "avatar_url": [f"$.{metadata}.avatar_url", f"$.{metadata}.picture"],
    }


PRESETS: Mapping[str, Preset] = {
    "clerk": {
        "title": "Clerk",
        "verify": "standard-webhooks",
        "map": {
            "identifier": "$.data.id",
            "email": "$.data.email_addresses[?@.id == $.data.primary_email_address_id].email_address",
            "name": [{"join": ["$.data.first_name", "$.data.last_name"], "with": " "}, "$.data.username"],
            "phone_number": "$.data.phone_numbers[?@.id == $.data.primary_phone_number_id].phone_number",
            # Has to begin above `data`: a filter looks at the children of what stands before it.
            "avatar_url": "$[?@.has_image != false].image_url",
        },
        "told": {"avatar_url": "`data.image_url`, unless `data.has_image` is false"},
        "only_if": {"$.type": "user.created"},
        "secret_fields": ["$.data.private_metadata"],
        "signup": "`user.created`.",
        "console": [
            "In the Clerk Dashboard, open Configure > Webhooks and choose Add Endpoint.",
            "Endpoint URL: `{url}`. Subscribe to `user.created` and save.",
            "On the endpoint's page, copy the Signing Secret.",
        ],
        "secret_hint": "Begins with `whsec_`.",
        "notes": [
            "E-mail and phone number are the primary ones. A user without a primary address has no e-mail here, "
            "even if there are others.",
            "The picture that Clerk generates for those who have none (`has_image` is false) is left out.",
            'If your users have ids of your own at Clerk: `map = { identifier = ["$.data.external_id", "$.data.id"] '
            "}`.",
        ],
    },
    "stytch": {
        "title": "Stytch (Consumer and B2B)",
        "verify": "standard-webhooks",
        "map": {
            "identifier": "$.id",
            "email": ["$.user.emails[0].email", "$.member.email_address"],
            "name": [{"join": ["$.user.name.first_name", "$.user.name.last_name"], "with": " "}, "$.member.name"],
            "phone_number": ["$.user.phone_numbers[0].phone_number", "$.member.mfa_phone_number"],
        },
        "only_if": {"$.action": ["CREATE", "create"], "$.object_type": ["user", "member"]},
        "tests": """{ "$[?match($.event_id, 'webhook-event-test-.*')]" = { exists = true } }""",
        "secret_fields": ["$.user.trusted_metadata", "$.member.trusted_metadata"],
        "signup": "A user or a member is created, from whatever source (API, dashboard, SCIM).",
        "console": [
            "In the Stytch Dashboard, open Webhooks and create one with the address `{url}`.",
            "Choose the events `direct.user.create` (Consumer) or `direct.member.create` (B2B); those of "
            "`dashboard` and `scim` as well if such people are to be contacts.",
            "Copy the endpoint's signing secret.",
        ],
        "secret_hint": "Begins with `whsec_`.",
        "notes": ["The identifier is Stytch's (`user-live-...`), not your `external_id`, which may be empty."],
    },
    "memberstack": {
        "title": "Memberstack",
        "verify": "standard-webhooks",
        "contact": ["$.payload", "$.data"],
        "map": {
            "identifier": "$.id",
            "email": ["$.auth.email", "$.email"],
            "name": [
                {
                    "join": [
                        ["$.customFields['first-name']", "$.customFields.firstName", "$.customFields.first_name"],
                        ["$.customFields['last-name']", "$.customFields.lastName", "$.customFields.last_name"],
                    ],
                    "with": " ",
                },
                "$.customFields.name",
                "$.customFields['full-name']",
            ],
            "phone_number": ["$.customFields.phone", "$.customFields['phone-number']"],
            "avatar_url": "$.profileImage",
        },
        "only_if": {"$.event": "member.created"},
        "signup": "`member.created`.",
        "console": [
            "In the Memberstack dashboard, open DevTools > Webhooks and add an endpoint with the address `{url}`.",
            "Choose the event `member.created`.",
            "Copy the endpoint's signing secret.",
        ],
        "secret_hint": "Begins with `whsec_`.",
        "notes": [
            "Custom fields have the names that your site gave them. Other names: `map = { phone_number = "
            "\"$.customFields['mobile']\" }`.",
        ],
    },
    "supabase-auth-hook": {
        "title": "Supabase: Before User Created hook",
        "verify": "standard-webhooks",
        "contact": "$.user",
        "map": _supabase("user_metadata"),
        "told": {"phone_number": "`phone`, with its plus put back"},
        "only_if": {"$.metadata.name": "before-user-created"},
        "ignore_if": {"$.user.is_anonymous": True},
        "blocking": False,
        "signup": "`before-user-created`, except for anonymous users.",
        "console": [
            "In the Supabase Dashboard, open Authentication > Hooks, add a Before User Created hook, and choose HTTPS.",
            "URL: `{url}`.",
            "Generate the secret there and copy it.",
        ],
        "secret_hint": "Begins with `v1,whsec_`; keep all of it.",
        "notes": [
            "Supabase waits for the answer, and a failure would refuse the signup. So this source answers 200 even "
            "when it cannot take the delivery; `blocking = true` changes that, and then a signup fails while we are "
            "down.",
            "It is sent before the user is in the database: a signup that fails afterwards has become a contact all "
            "the same. If that matters, use `supabase-db-webhook`.",
        ],
    },
    "supabase-db-webhook": {
        "title": "Supabase: Database Webhook on auth.users",
        "verify": {"scheme": "token", "header": "Authorization"},
        "contact": "$.record",
        "map": _supabase("raw_user_meta_data"),
        "told": {"phone_number": "`phone`, with its plus put back"},
        "only_if": {"$.type": "INSERT", "$.schema": "auth", "$.table": "users"},
        "ignore_if": {"$.record.is_anonymous": True},
        "secret_fields": [
            f"$.{row}.{column}"
            for row in ("record", "old_record")
            for column in (
                "encrypted_password",
                "confirmation_token",
                "recovery_token",
                "reauthentication_token",
                "email_change_token_new",
                "email_change_token_current",
                "phone_change_token",
            )
        ],
        "signup": "An `INSERT` on `auth.users`, except of anonymous users.",
        "console": [
            "In the Supabase Dashboard, open Database > Webhooks and create one for the table `auth.users`, event "
            "Insert.",
            "Type HTTP Request, method POST, URL `{url}`, timeout 5000 ms.",
            "Add an HTTP header `Authorization` with the value `Bearer <the secret>`.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "Supabase does not sign these and never sends one again: what is missed while we are down is lost.",
            "The row holds the password's hash and tokens. They are stripped from whatever we keep.",
            'A table of your own: `only_if = { "$.type" = "INSERT", "$.schema" = "public", "$.table" = "profiles" '
            "}`, and a `map` for it.",
        ],
    },
    "auth0-event-stream": {
        "title": "Auth0: Event Streams",
        "verify": {"scheme": "token", "header": "Authorization"},
        "contact": "$.data.object",
        "map": {
            "identifier": "$.user_id",
            "email": "$.email",
            "name": [
                {"path": "$.name", "unless_equal": "$.email"},
                {"join": ["$.given_name", "$.family_name"], "with": " "},
                "$.nickname",
            ],
            "phone_number": "$.phone_number",
            "avatar_url": "$.picture",
        },
        "only_if": {"$.type": "user.created"},
        "tests": '{ "$.a0purpose" = "test" }',
        "secret_fields": ["$.data.object.app_metadata"],
        "signup": "`user.created`.",
        "console": [
            "In the Auth0 Dashboard, open Event Streams, create one and choose Webhook.",
            "URL: `{url}`. Authorization: a bearer token; enter the secret.",
            "Choose the event `user.created`.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "For users of a database connection Auth0 sets the name to the e-mail address: then given and family "
            "name are used, or the nickname.",
            "Auth0 does not try again after a 4xx. To change the token, put the new one first and keep the old one: "
            '`secrets = ["$NEW", "$OLD"]`; then change it at Auth0.',
        ],
    },
    "auth0-log-stream": {
        "title": "Auth0: Log Streams",
        "verify": {"scheme": "token", "header": "Authorization"},
        "body": ["json", "ndjson"],
        "contact": "$.data",
        "map": {"identifier": "$.user_id", "email": ["$.details.body.email", "$.user_name"]},
        "only_if": {"$.data.type": "ss"},
        "secret_fields": ["$..password"],
        "signup": "Log entries of type `ss` (successful signup). A delivery holds many entries; each signup is a "
        "contact.",
        "console": [
            "In the Auth0 Dashboard, open Monitoring > Streams, create a stream and choose Custom Webhook.",
            "Payload URL: `{url}`. Authorization Token: `Bearer <the secret>`. Content Format: any of them is taken.",
            "Filter the stream to signups, so that we are not sent every log entry.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "A log entry holds no name, phone number or picture. Event Streams do: prefer `auth0-event-stream`.",
            "Entries can hold a `password` key; it is stripped from whatever we keep.",
            "Users who are created in the dashboard or by the Management API are no signups here.",
        ],
    },
    "workos": {
        "title": "WorkOS",
        "verify": {
            "scheme": "hmac",
            "header": "WorkOS-Signature",
            "separator": ",",
            "prefix": "v1=",
            "timestamp_prefix": "t=",
            "unit": "ms",
            "template": "{t}.{body}",
        },
        "contact": "$.data",
        "map": {
            "identifier": "$.id",
            "email": "$.email",
            "name": ["$.name", {"join": ["$.first_name", "$.last_name"], "with": " "}],
            "avatar_url": "$.profile_picture_url",
        },
        "only_if": {"$.event": "user.created"},
        "signup": "`user.created`. Directory users (`dsync.user.created`) are no signups.",
        "console": [
            "In the WorkOS Dashboard, open Webhooks and create one with the address `{url}`.",
            "Choose the event `user.created`.",
            "Copy the webhook's signing secret.",
        ],
        "secret_hint": "Shown on the webhook's page.",
        "notes": [
            'If your users have ids of your own at WorkOS: `map = { identifier = ["$.external_id", "$.id"] }`.',
        ],
    },
    "kinde": {
        "title": "Kinde",
        "verify": {"scheme": "jwt-body", "algorithms": ["RS256"]},
        "needs": ['verify = { jwks = "https://<your subdomain>.kinde.com/.well-known/jwks" }'],
        "body": "jwt",
        "contact": "$.data.user",
        "map": {
            "identifier": "$.id",
            "email": "$.email",
            "name": {"join": ["$.first_name", "$.last_name"], "with": " "},
            "phone_number": "$.phone",
        },
        "only_if": {"$.type": "user.created"},
        "signup": "`user.created`.",
        "console": [
            "In Kinde, open Settings > Webhooks and choose Add webhook.",
            "Endpoint URL: `{url}`. Choose the event `user.created`.",
        ],
        "notes": [
            "There is no secret: Kinde signs the body with a key that we fetch from your subdomain, so the receiver "
            "must be able to reach it.",
            "People who sign up by phone or user name have no e-mail.",
        ],
    },
}
