"""Communities, newsletters and sites: a member joins."""

from collections.abc import Mapping

from webhook_app.sources.presets.preset import CHOSEN, Preset

PRESETS: Mapping[str, Preset] = {
    "ghost": {
        "title": "Ghost",
        "verify": {
            "scheme": "hmac",
            "header": "X-Ghost-Signature",
            "separator": ",",
            "prefix": "sha256=",
            "timestamp_prefix": "t=",
            "unit": "ms",
            "template": "{body}{t}",
        },
        "contact": "$.member.current",
        "map": {
            "identifier": ["$.uuid", "$.id"],
            "email": "$.email",
            "name": "$.name",
            "avatar_url": "$.avatar_image",
        },
        "only_if": {"$.member.current": {"exists": True}},
        # There is no event type anywhere: a new member is one with nothing in ``previous``.
        "ignore_if": {"$[?@.previous.*].current": {"exists": True}},
        "signup": "A member without a previous state: one that was added.",
        "console": [
            "In Ghost Admin, open Settings > Advanced > Integrations and choose Add custom integration.",
            "Add a webhook. Event: Member added. Target URL: `{url}`. Secret: the secret.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "Without a secret Ghost does not sign, and we refuse what it sends.",
            "Ghost does not say what happened. Changed and deleted members are told from new ones by their content, "
            "and ignored.",
            "Take it that Ghost does not try again: what is missed while we are down is lost.",
        ],
    },
    "discourse": {
        "title": "Discourse",
        "verify": {"scheme": "hmac", "header": "X-Discourse-Event-Signature", "prefix": "sha256="},
        "contact": "$.user",
        "map": {
            "identifier": "$.id",
            "email": "$.email",
            "name": ["$.name", "$.username"],
            "avatar_url": {
                "path": "$.avatar_template",
                "replace": {"{size}": "240"},
                "base": {"header": "X-Discourse-Instance"},
            },
        },
        "only_if": {"header:X-Discourse-Event": "user_created"},
        "signup": "`user_created`, which comes before the e-mail address is confirmed.",
        "console": [
            "In Discourse, open Admin > API > Webhooks and choose New Webhook.",
            "Payload URL: `{url}`. Content type: `application/json`. Secret: the secret.",
            'Choose the user event "User is created", and save. Discourse may send a ping, which makes nothing.',
        ],
        "secret_hint": CHOSEN,
        "notes": [
            'Only confirmed people: choose the event "User confirmed e-mail" there, and here `only_if = { '
            '"header:X-Discourse-Event" = "user_confirmed_email" }`.',
            'If Discourse signs people in by your own site: `map = { identifier = ["$.external_id", "$.id"] }`.',
            "Discourse tries again only if its setting `retry web hook events` is on.",
        ],
    },
    "slack": {
        "title": "Slack",
        "verify": {
            "scheme": "hmac",
            "header": "X-Slack-Signature",
            "prefix": "v0=",
            "timestamp_header": "X-Slack-Request-Timestamp",
            "template": "v0:{t}:{body}",
        },
        "handshake": "slack",
        "contact": "$.event.user",
        "map": {
            "identifier": "$.id",
            "email": "$.profile.email",
            "name": ["$.real_name", "$.profile.real_name"],
            "phone_number": "$.profile.phone",
            "avatar_url": "$.profile.image_512",
        },
        "only_if": {"$.event.type": "team_join"},
        "ignore_if": {"$.event.user.is_bot": True},
        "secret_fields": ["$.token"],
        "signup": "`team_join`, except of bots.",
        "console": [
            "At api.slack.com/apps, open your app > Basic Information and copy the Signing Secret.",
            "Under OAuth & Permissions, add the bot scopes `users:read` and `users:read.email`.",
            "Under Event Subscriptions, set the Request URL `{url}`, which Slack checks at once, and subscribe to "
            "the bot event `team_join`. Install the app into the workspace again.",
        ],
        "secret_hint": "The Signing Secret: 32 hexadecimal digits.",
        "notes": ["Without the scope `users:read.email` there is no e-mail address."],
    },
    "mailchimp": {
        "title": "Mailchimp",
        "verify": {"scheme": "token", "query": "token"},
        "handshake": "mailchimp",
        "body": "form",
        "contact": "$.data",
        "map": {
            "identifier": "$.id",
            "email": ["$.email", "$.merges.EMAIL"],
            "name": {"join": ["$.merges.FNAME", "$.merges.LNAME"], "with": " "},
            "phone_number": "$.merges.PHONE",
        },
        "only_if": {"$.type": "subscribe"},
        "signup": "`subscribe`.",
        "console": [
            "In Mailchimp, open Audience > Settings > Webhooks and choose Create New Webhook.",
            "Callback URL: `{url}?token=<the secret>`. Type of update: Subscribes.",
            "Save. Mailchimp asks for the address with GET then, which is answered.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "Mailchimp does not sign: whoever knows the address can send. Keep it secret.",
            "A person has another id in every audience. To know people by their e-mail address instead: `map = { "
            'identifier = "$.email" }`.',
            'Merge fields are yours to define. Other names: `map = { phone_number = "$.merges.MOBILE" }`.',
        ],
    },
    "wordpress": {
        "title": "WordPress with the plugin WP Webhooks",
        "verify": {"scheme": "token", "header": "Authorization"},
        "body": ["json", "form"],
        "map": {
            "identifier": ["$.ID", "$.data.ID"],
            "email": "$.data.user_email",
            "name": [
                "$.data.display_name",
                {
                    "join": [
                        ["$.user_meta.first_name", "$.user_meta.first_name[0]"],
                        ["$.user_meta.last_name", "$.user_meta.last_name[0]"],
                    ],
                    "with": " ",
                },
            ],
        },
        "secret_fields": [
            "$.data.user_pass",
            "$.data.user_activation_key",
            "$.user_pass",
            "$.user_activation_key",
            "$.user_meta.session_tokens",
        ],
        "signup": "Every delivery: let the plugin send us nothing but the trigger User created.",
        "console": [
            "In WordPress, open Settings > WP Webhooks > Authentication and create a Bearer Token template with the "
            "secret.",
            "Under Send Data, open the trigger User created and add the webhook URL `{url}`.",
            "In that webhook's settings, choose the authentication template, and JSON.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "WordPress itself sends no webhooks.",
            "The plugin sends the password's hash along. It is stripped from whatever we keep.",
            "The plugin does not try again: what is missed while we are down is lost.",
            "Ids count from 1 in every site. With several sites, keep them apart: `map = { identifier = { path = "
            '"$.ID", prefix = "mysite-" } }`.',
        ],
    },
    "github": {
        "title": "GitHub: members of repositories and organizations",
        "verify": {"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256="},
        "contact": ["$.member", "$.membership.user"],
        "map": {
            "identifier": "$.id",
            "name": ["$.name", "$.login"],
            "email": "$.email",
            "avatar_url": "$.avatar_url",
        },
        "only_if": {
            "header:X-GitHub-Event": ["member", "membership", "organization"],
            "$.action": ["added", "member_added"],
        },
        "signup": "Somebody is added to a repository, a team or an organization.",
        "console": [
            "In the repository or organization, open Settings > Webhooks and choose Add webhook.",
            "Payload URL: `{url}`. Content type: `application/json`. Secret: the secret.",
            "Choose individual events: Collaborator add, remove, or changed (repository), or Organizations and "
            "Memberships.",
        ],
        "secret_hint": CHOSEN,
        "notes": ["GitHub tells a login and a picture, hardly ever a name or an e-mail address."],
    },
}
