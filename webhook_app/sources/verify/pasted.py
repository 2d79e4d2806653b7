"""Recognises what was pasted in place of a secret, such as an API key.

The forms of keys are those of github.com/gitleaks/gitleaks (``config/gitleaks.toml`` at b58d3f1) unless a row names
another source. No text repeats a secret.
"""

import base64
import binascii
import re
from collections.abc import Collection

_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb"

#: Accidents of copy and paste, whatever the scheme: how they look, and what to do.
ACCIDENTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), what)
    for pattern, what in (
        (rf"[{_QUOTES}].*[{_QUOTES}][,;]?|[{_QUOTES}].*[,;]", "is in quotes: remove them"),
        (r"-----BEGIN .*", "is a PEM key or certificate: a secret is needed, which the sender knows, too"),
        (r"\{\s*\".*\}", "is a JSON document: write only the secret"),
        (r"(?i:authorization|x-[a-z-]+|[a-z-]+-(?:token|key|secret)):\s.*", "is a whole header: write only the secret"),
        (r"(?i:bearer)\s.*", "begins with Bearer: write only what follows it"),
        (r"(?i:basic) +[A-Za-z0-9+/]+=*", "begins with Basic: write user:password, not encoded"),
        (r"[a-z][a-z0-9+.-]*://.*", "is a URL: write only the secret"),
        (r"(?:export\s+)?[A-Z][A-Z0-9_]{2,}=[^=].*", "begins with the name of a variable: write only its value"),
        (r"\$\{.*\}|\$\(.*\)|\{\{.*\}\}|%[A-Z_]+%|\$[A-Z_]{3,}", "is a variable that was not filled in"),
        (
            r"<.*>|(?i:(?:whsec_|sk_(?:test|live)_)?x{4,}|your[ _-].*|(?:change|replace)[ _-]?me|to-?do|paste[ _-].*)",
            "is a placeholder: write the secret itself",
        ),
        (
            r".*(?:[\u2022\u25cf\u2219\u00b7]{2,}|\*{4,}|\u2026).*|.*\.{3}",
            "is hidden or cut off: reveal it and copy all of it",
        ),
        (r".*[\r\n].*", "contains a line break: write it in one line"),
        (
            r".*[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufffd].*",
            "contains invisible characters: copy it again, or type it",
        ),
    )
)

#: Keys, tokens and ids by their form. None of them signs a delivery.
KINDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        # Stripe: docs.stripe.com/keys. Clerk and WorkOS write theirs alike; Memberstack has sk_sb_ and pk_sb_.
        (r"rk_(?:live|test|prod)_.*", "a restricted API key of Stripe"),
        (r"sk_(?:live|test|prod|sb)_.*|sk_[A-Za-z0-9]{20,}", "a secret API key (Stripe, Clerk, WorkOS, Memberstack)"),
        (r"pk_(?:live|test|sb)_.*|pk_[A-Za-z0-9]{20,}", "a publishable key (Stripe, Clerk, Memberstack)"),
        (r"we_[A-Za-z0-9]+", "the id of a webhook endpoint of Stripe"),
        (r"(?:evt|acct|cus|ca|ac)_[A-Za-z0-9]+", "an id of Stripe"),
        # Svix: api.svix.com/docs, the formats of its schemas.
        (r"ep_[A-Za-z0-9]+", "the id of an endpoint of Svix"),
        (r"(?:app|msg|atmpt|org|src)_[A-Za-z0-9]{20,}", "an id of Svix"),
        (r"(?:testsk|sk)_[\w-]{20,}\.[a-z]{2}", "an API key of Svix"),
        # Clerk: clerk.com/docs, the ids of its objects.
        (r"(?:ins|user|whe|oauthapp)_[A-Za-z0-9]{20,}", "an id of Clerk"),
        # Shopify: shopify.dev/changelog, "Length of the Shopify access token is increasing".
        (r"shp(?:at|ca|pa|ua|tka)_.*", "an API access token of Shopify"),
        (r"shpss_.*", "the client secret of an app in Shopify"),
        (r"gh[oprsu]_.*|github_pat_.*", "an access token of GitHub"),
        (r"gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|oas)-.*", "a token of GitLab"),
        (r"xox[a-z][-.].*|xapp-.*", "a token of a Slack app"),
        (r"SG\..*", "an API key of SendGrid"),
        (r"(?:AC|SK)[0-9a-f]{32}", "an id or API key of Twilio"),
        (r"[0-9a-f]{32}-us[0-9]+", "an API key of Mailchimp"),
        (r"(?:pub)?key-[0-9a-f]{32}", "an API key of Mailgun"),
        # HubSpot: developers.hubspot.com, "Private apps".
        (r"pat-(?:na|eu|ap)[0-9]-.*", "an access token of a private app in HubSpot"),
        (r"tfp_.*", "a personal access token of Typeform"),
        # Paddle: developer.paddle.com, "API keys", "Client-side tokens", "Notification settings".
        (r"pdl_(?:(?:live|sdbx)_)?(?:apikey_)?(?!ntfset_).*", "an API key of Paddle"),
        (r"ntfset_.*", "the id of a notification destination of Paddle"),
        (r"(?:live|test)_[0-9a-f]{27}", "a client-side token of Paddle"),
        # WorkOS: workos.com/docs/reference/client-id.
        (r"client_[0-9A-Z]{20,}", "a client id of WorkOS"),
        # Stytch: stytch.com/docs/workspace-management/api-keys; ids name their environment.
        (r"(?:secret|project|public-token)-(?:test|live)-.*", "an API secret or an id of a project in Stytch"),
        # Supabase: supabase.com/docs/guides/api/api-keys.
        (r"sb_secret_.*|sb_publishable_.*|sbp_.*", "an API key of Supabase"),
        # Intercom: access tokens are base64 of "tok:".
        (r"dG9rO[A-Za-z0-9+/]+=*", "an access token of Intercom"),
        # WooCommerce: class-wc-auth.php, create_keys.
        (r"ck_[0-9a-f]{40}", "a consumer key of WooCommerce"),
        (r"cs_[0-9a-f]{40}", "a consumer secret of WooCommerce"),
        # Ghost: docs.ghost.org/admin-api, "Token authentication".
        (r"[0-9a-f]{24}:[0-9a-f]{64}", "an Admin API key of Ghost"),
        # Tally and Segment: developers.tally.so, docs.segmentapis.com.
        (r"tly-.*", "an API key of Tally"),
        (r"sgp_.*", "a Public API token of Segment"),
        (r"AIza[\w-]{35}", "an API key of Google"),
        (r"GOCSPX-.*|ya29\..*", "an OAuth secret or token of Google"),
        (r"(?:AKIA|ASIA)[A-Z2-7]{16}", "an access key id of AWS"),
        (r"EAA[A-Za-z0-9]{20,}", "an access token of Meta or Square"),
        (r"ntn_.*|lin_api_.*|pat[A-Za-z0-9]{14}\..*|sntry[su]_.*|NRAK-.*|phx_.*", "an API key of another product"),
        (r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]*", "a JSON Web Token"),
        (r"(?:v1,)?whsec_.*", "a signing secret (whsec_)"),
        (r"whpk_.*", "a public key (whpk_)"),
        (r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a UUID"),
    )
)
_SIGNING = ("a signing secret (whsec_)", "a public key (whpk_)")
#: Kinds that can be the secret of a product whose secrets have no known beginning.
_POSSIBLE = ("a UUID", *_SIGNING)


def accident(secret: str) -> str:
    """Return what is wrong with a secret, whatever it is for, or ``""``."""
    text = secret.strip()
    return next((what for pattern, what in ACCIDENTS if pattern.fullmatch(text)), "")


def kind_of(secret: str) -> str:
    """Return what a secret is by its form, or ``""``."""
    text = secret.strip()
    return next((what for pattern, what in KINDS if pattern.fullmatch(text)), "")


def not_a_signing_secret(secret: str) -> str:
    """Return what is wrong with a secret of Standard Webhooks, or ``""``."""
    kind = kind_of(secret)
    return f"is {kind}: use the signing secret, which begins with whsec_" if kind and kind not in _SIGNING else ""


def not_as_issued(secret: str, beginnings: Collection[str], hint: str) -> str:
    """Return what is wrong with a secret of a product's webhooks, or ``""``.

    ``beginnings`` are those of the secrets that the product issues; ``""`` stands for a form without one. ``hint`` says
    where to find the secret.
    """
    if any(beginning and secret.startswith(beginning) for beginning in beginnings):
        return ""
    kind = kind_of(secret)
    if not kind or ("" in beginnings and kind in _POSSIBLE):
        return ""
    return f"is {kind}, not the webhook's secret. {hint}".rstrip(". ").replace("`", "")


def is_encoded_login(secret: str) -> bool:
    """Whether this is ``user:password`` already in base64, as in the header."""
    try:
        return b":" in base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return False
