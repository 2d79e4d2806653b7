"""Shops and billing: a customer is created."""

from collections.abc import Mapping

from webhook_app.sources.presets.preset import CHOSEN, Preset

PRESETS: Mapping[str, Preset] = {
    "shopify": {
        "title": "Shopify",
        "verify": {"scheme": "hmac", "header": "X-Shopify-Hmac-Sha256", "encoding": "base64"},
        "map": {
            "identifier": "$.id",
            "email": "$.email",
            "name": {"join": ["$.first_name", "$.last_name"], "with": " "},
            "phone_number": ["$.phone", "$.default_address.phone"],
        },
        "only_if": {"header:X-Shopify-Topic": "customers/create"},
        "tests": '{ "header:X-Shopify-Test" = "true" }',
        "secret_fields": ["$.multipass_identifier"],
        "signup": "Topic `customers/create`.",
        "console": [
            "In the Shopify admin, open Settings > Notifications > Webhooks and choose Create webhook.",
            "Event: Customer creation. Format: JSON. URL: `{url}`.",
            'Copy the text under the list of webhooks ("Your webhooks will be signed with ...").',
        ],
        "secret_hint": "For webhooks of an app of yours: the app's client secret.",
        "notes": [
            "Shopify signs no time, so an old delivery verifies as well as a new one; it changes nothing, since its "
            "customer is known.",
            'With several shops, keep their ids apart: `map = { identifier = { path = "$.id", prefix = "myshop-" } }`.',
        ],
    },
    "woocommerce": {
        "title": "WooCommerce",
        "verify": {"scheme": "hmac", "header": "X-WC-Webhook-Signature", "encoding": "base64"},
        "handshake": "woocommerce",
        "contact": ["$", "$.customer"],
        "map": {
            "identifier": "$.id",
            "email": ["$.email", "$.billing.email", "$.billing_address.email"],
            "name": [
                {"join": ["$.first_name", "$.last_name"], "with": " "},
                {"join": ["$.billing.first_name", "$.billing.last_name"], "with": " "},
                {"join": ["$.billing_address.first_name", "$.billing_address.last_name"], "with": " "},
            ],
            "phone_number": ["$.billing.phone", "$.billing_address.phone"],
            "avatar_url": "$.avatar_url",
        },
        "only_if": {"header:X-WC-Webhook-Topic": "customer.created"},
        "signup": "Topic `customer.created`, which WooCommerce sends for every new WordPress user, whatever the role.",
        "console": [
            "In WordPress, open WooCommerce > Settings > Advanced > Webhooks and choose Add webhook.",
            "Status: Active. Topic: Customer created. Delivery URL: `{url}`. Secret: the secret.",
            "Save. WooCommerce sends an unsigned ping then, which is answered and makes nothing.",
        ],
        "secret_hint": CHOSEN,
        "notes": [
            "Ids count from 1 in every shop. With several shops, keep them apart: `map = { identifier = { path = "
            '"$.id", prefix = { header = "X-WC-Webhook-Source" } } }`.',
            "WooCommerce does not try again, and disables the webhook after 5 failures in a row.",
            "Phone numbers are free text: set `region` to where your customers are.",
            "Keep the secret to letters and digits: WordPress decodes what looks like an HTML entity in it.",
            'Customers only: add `"$.role" = "customer"` to `only_if`.',
        ],
    },
    "stripe": {
        "title": "Stripe",
        "verify": {
            "scheme": "hmac",
            "header": "Stripe-Signature",
            "separator": ",",
            "prefix": "v1=",
            "timestamp_prefix": "t=",
            "template": "{t}.{body}",
        },
        "contact": "$.data.object",
        "map": {"identifier": "$.id", "email": "$.email", "name": "$.name", "phone_number": "$.phone"},
        "only_if": {"$.type": "customer.created"},
        "tests": '{ "$.livemode" = false }',
        "signup": "`customer.created`.",
        "console": [
            "In the Stripe Dashboard, open Developers > Webhooks and add an endpoint (destination) with the address "
            "`{url}`.",
            "Choose the event `customer.created`, with snapshot payloads.",
            "Reveal and copy the signing secret.",
        ],
        "secret_hint": "Begins with `whsec_`; the endpoints of test and live mode have one each.",
        "notes": [
            "Stripe customers often have neither name nor e-mail when they are created.",
            'If you keep your own user id in the metadata: `map = { identifier = ["$.metadata.user_id", "$.id"] }`.',
            "Thin events (`v2.core.event`) hold no customer and are ignored.",
        ],
    },
    "paddle": {
        "title": "Paddle Billing",
        "verify": {
            "scheme": "hmac",
            "header": "Paddle-Signature",
            "separator": ";",
            "prefix": "h1=",
            "timestamp_prefix": "ts=",
            "template": "{t}:{body}",
        },
        "contact": "$.data",
        "map": {"identifier": "$.id", "email": "$.email", "name": "$.name"},
        "only_if": {"$.event_type": "customer.created"},
        "signup": "`customer.created`.",
        "console": [
            "In Paddle, open Developer Tools > Notifications and choose New destination.",
            "Type: Webhook. URL: `{url}`. Choose the event `customer.created`.",
            "Edit the destination again to copy its secret key.",
        ],
        "secret_hint": "Begins with `pdl_ntfset_`.",
        "notes": [
            'If you pass your own user id as custom data: `map = { identifier = ["$.custom_data.user_id", "$.id"] }`.',
        ],
    },
    "lemonsqueezy": {
        "title": "Lemon Squeezy",
        "verify": {"scheme": "hmac", "header": "X-Signature"},
        "map": {
            "identifier": "$.data.attributes.customer_id",
            "email": "$.data.attributes.user_email",
            "name": "$.data.attributes.user_name",
        },
        "only_if": {"$.meta.event_name": "order_created"},
        "tests": '{ "$.meta.test_mode" = true }',
        "signup": "`order_created`. Lemon Squeezy has no event for a new customer, so an order stands for one.",
        "console": [
            "In Lemon Squeezy, open Settings > Webhooks and add one.",
            "Callback URL: `{url}`. Signing secret: the secret. Choose the event `order_created`.",
        ],
        "secret_hint": CHOSEN + " Lemon Squeezy takes up to 40 characters.",
        "notes": [
            "A customer's further orders are deliveries for the same contact.",
            'If you pass your own user id as custom data: `map = { identifier = ["$.meta.custom_data.user_id", '
            '"$.data.attributes.customer_id"] }`.',
        ],
    },
}
