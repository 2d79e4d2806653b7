"""What is pasted where a secret belongs is recognised, and no message repeats it.

The forms are those of the vendors' documentation and of gitleaks' rules (github.com/gitleaks/gitleaks,
config/gitleaks.toml); all keys are made up.
"""

import base64
from typing import Any

import pytest

from webhook_app.sources.config import read_source
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.verify.pasted import accident, kind_of
from worker.errors import SettingsError

KEY = base64.b64encode(b"the key of the tests, 32 bytes..").decode()
WHSEC = f"whsec_{KEY}"
HEX = "0123456789abcdef" * 2
TOKEN_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLXRoZS10ZXN0cw"
UUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


def mistakes(entry: dict[str, Any], secret: str) -> list[str]:
    """Return the mistakes in a source with this secret in a variable."""
    try:
        read_source("app", {**entry, "secret": "$SECRET"}, {"SECRET": secret})
    except SettingsError as error:
        return error.problems
    return []


def preset(name: str) -> dict[str, Any]:
    return {"preset": name}


TOKEN: dict[str, Any] = {"verify": "token"}
STANDARD: dict[str, Any] = {"verify": "standard-webhooks"}
HMAC: dict[str, Any] = {"verify": {"scheme": "hmac", "header": "X-Signature"}}

#: A secret that cannot work, and what the message says it is.
WRONG = [
    # A key of another kind: senders.md's Stripe and Clerk, then others
    (preset("stripe"), "sk_live_51HxxTESTxxxxxxxxxxxx", "a secret API key"),
    (preset("stripe"), "sk_test_51HxxTESTxxxxxxxxxxxx", "a secret API key"),
    (preset("stripe"), "rk_live_51HxxTESTxxxxxxxxxxxx", "a restricted API key of Stripe"),
    (preset("stripe"), "pk_live_51HxxTESTxxxxxxxxxxxx", "a publishable key"),
    (preset("stripe"), "we_1NwCDsLkdIwHu7ixTESTTEST", "the id of a webhook endpoint of Stripe"),
    (preset("stripe"), "acct_1NwCDsLkdIwHu7ix", "an id of Stripe"),
    (preset("clerk"), "sk_test_abcdefghijklmnopqrstuvwxyz", "a secret API key"),
    (preset("clerk"), "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "a publishable key"),
    (preset("clerk"), "ep_2abcdefghijklmnopqrstuvwxyz", "the id of an endpoint of Svix"),
    (preset("clerk"), "ins_2abcdefghijklmnopqrstuvwxyz", "an id of Clerk"),
    (preset("svix"), "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2", "the id of an endpoint of Svix"),
    (preset("svix"), "app_1srOrx2ZWZBpBUvZwXKQmoEYga2", "an id of Svix"),
    (preset("stytch"), "secret-test-abcdefghijklmnopqrstuv==", "an API secret or an id of a project in Stytch"),
    (preset("stytch"), f"project-live-{UUID}", "an API secret or an id of a project in Stytch"),
    (preset("memberstack"), "sk_sb_abcdefghijklmnop", "a secret API key"),
    (preset("supabase-auth-hook"), "sb_secret_abcdefghijklmnop", "an API key of Supabase"),
    (preset("supabase-auth-hook"), f"sbp_{HEX}", "an API key of Supabase"),
    (preset("supabase-auth-hook"), TOKEN_JWT, "a JSON Web Token"),
    (preset("standard-webhooks"), TOKEN_JWT, "a JSON Web Token"),
    (preset("standard-webhooks"), UUID, "a UUID"),
    (preset("standard-webhooks"), "AKIAIOSFODNN7EXAMPLE", "an access key id of AWS"),
    (preset("shopify"), f"shpat_{HEX}", "an API access token of Shopify"),
    (preset("shopify"), f"shpca_{HEX}", "an API access token of Shopify"),
    (preset("clerk"), f"shpss_{HEX}", "the client secret of an app in Shopify"),
    (preset("slack"), "xoxb-1234567890-1234567890123-abcdefghijkl", "a token of a Slack app"),
    (preset("slack"), "xapp-1-A0TEST-1234567890-abcdef", "a token of a Slack app"),
    (preset("workos"), "sk_test_a2V5XzAxSFRFU1Q", "a secret API key"),
    (preset("workos"), "client_01HTESTTESTTESTTESTTESTTE", "a client id of WorkOS"),
    (preset("paddle"), "pdl_live_apikey_01gtgztp8f4kek3yd4g1wrksa3", "an API key of Paddle"),
    (preset("paddle"), "pdl_sdbx_apikey_01gtgztp8f4kek3yd4g1wrksa3", "an API key of Paddle"),
    (preset("paddle"), "ntfset_01gt21c5pdx9q1e4mh1xrsjjn6", "the id of a notification destination of Paddle"),
    (preset("paddle"), "test_7d279f61a3499fed520f7cd8c08", "a client-side token of Paddle"),
    (preset("intercom"), "dG9rOmE4OTg5MjAwXzdhMDhfNDdjYjoxOjA=", "an access token of Intercom"),
    (preset("webflow"), TOKEN_JWT, "a JSON Web Token"),
    (STANDARD, "SG.abcdefghijklmnop.qrstuvwxyz", "an API key of SendGrid"),
    (STANDARD, "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "an access token of GitHub"),
    (STANDARD, "github_pat_11ABCDEFG0abcdefghijkl_mnop", "an access token of GitHub"),
    (STANDARD, f"pat-na1-{UUID}", "an access token of a private app in HubSpot"),
    (STANDARD, f"{HEX}-us21", "an API key of Mailchimp"),
    ({**HMAC, "verify": {**HMAC["verify"], "key": "whsec"}}, "sk_live_51HxxTESTxxxxxxxxxxxx", "a secret API key"),
    # Quotes, and what is around a secret elsewhere
    (preset("clerk"), f'"{WHSEC}"', "is in quotes"),
    (preset("stripe"), f"'{WHSEC}'", "is in quotes"),
    (preset("stripe"), f"\u201c{WHSEC}\u201d", "is in quotes"),
    (STANDARD, f'"{WHSEC}",', "is in quotes"),
    (TOKEN, '"a-token-of-the-tests"', "is in quotes"),
    ({"verify": "basic"}, "'alice:password'", "is in quotes"),
    (TOKEN, "Bearer abcdefghijkl", "begins with Bearer"),
    (preset("generic-bearer"), "bearer abcdefghijkl", "begins with Bearer"),
    (preset("auth0-log-stream"), "Bearer abcdefghijkl", "begins with Bearer"),
    (TOKEN, "Authorization: Bearer abcdefghijkl", "is a whole header"),
    (TOKEN, "X-Api-Key: abcdefghijkl", "is a whole header"),
    ({"verify": "basic"}, "Basic YWxpY2U6cGFzc3dvcmQ=", "begins with Basic"),
    ({"verify": "basic"}, "YWxpY2U6cGFzc3dvcmQ=", "is already encoded"),
    (preset("generic-hmac"), "https://hooks.example.com/webhooks/app", "is a URL"),
    (preset("stripe"), "https://dashboard.stripe.com/webhooks/we_1", "is a URL"),
    (HMAC, "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "is a PEM key"),
    ({"verify": {"scheme": "jwt-body", "algorithms": ["HS256"]}}, "-----BEGIN CERTIFICATE-----\nMII", "is a PEM key"),
    (STANDARD, '{"secret": "whsec_abc"}', "is a JSON document"),
    (preset("stripe"), f"STRIPE_SECRET={WHSEC}", "begins with the name of a variable"),
    (preset("stripe"), f"export STRIPE_SECRET={WHSEC}", "begins with the name of a variable"),
    (TOKEN, "${CRM_TOKEN}", "is a variable that was not filled in"),
    (TOKEN, "{{ crm_token }}", "is a variable that was not filled in"),
    (preset("stripe"), "whsec_...", "is hidden or cut off"),
    (preset("stripe"), "whsec_\u2022\u2022\u2022\u2022\u2022\u2022", "is hidden or cut off"),
    (preset("stripe"), "whsec_****************", "is hidden or cut off"),
    (preset("stripe"), "whsec_xxxxxxxxxxxx", "is a placeholder"),
    (TOKEN, "<the secret>", "is a placeholder"),
    (TOKEN, "your-secret-here", "is a placeholder"),
    (TOKEN, "changeme", "is a placeholder"),
    (STANDARD, f"whsec_{KEY[:20]}\n{KEY[20:]}", "contains a line break"),
    (HMAC, "the first line\nand the second", "contains a line break"),
    (TOKEN, "a-token-of\u200b-the-tests", "contains invisible characters"),
    (TOKEN, "a-token-of\u00a0the-tests", "contains invisible characters"),
]


@pytest.mark.parametrize(("entry", "secret", "says"), WRONG)
def test_what_cannot_work_is_a_mistake_that_says_what_it_is(entry: dict[str, Any], secret: str, says: str) -> None:
    [problem] = mistakes(entry, secret)
    assert problem.startswith("$SECRET ")
    assert says in problem
    assert secret not in problem
    assert KEY[:20] not in problem


@pytest.mark.parametrize(
    ("name", "secret", "says"),
    [
        ("stripe", "sk_live_51HxxTESTxxxxxxxxxxxx", "Begins with whsec_"),
        ("clerk", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "use the signing secret, which begins with whsec_"),
        ("slack", "xoxb-1234567890-1234567890123-abcdefghijkl", "The Signing Secret: 32 hexadecimal digits"),
        ("shopify", f"shpat_{HEX}", "Shown below the list of webhooks"),
    ],
)
def test_the_message_says_what_is_needed(name: str, secret: str, says: str) -> None:
    [problem] = mistakes(preset(name), secret)
    assert says in problem


@pytest.mark.parametrize(
    ("entry", "secret"),
    [
        (preset("stripe"), WHSEC),
        (preset("clerk"), WHSEC),
        (preset("clerk"), KEY),
        (preset("standard-webhooks"), f"whpk_{KEY}"),
        (preset("supabase-auth-hook"), f"v1,{WHSEC}"),
        (preset("supabase-db-webhook"), TOKEN_JWT),  # the service key, which Supabase offers as a header
        (preset("paddle"), "pdl_ntfset_01gkdqj5pdx9q1e4mh1xrsjjn6_abc/DEF+ghi"),
        (preset("shopify"), f"shpss_{HEX}"),  # webhooks that an app created
        (preset("shopify"), HEX * 2),
        (preset("slack"), HEX),
        (preset("intercom"), UUID),
        (preset("woocommerce"), f"cs_{HEX}01234567"),  # the default, if no secret is entered
        (preset("github"), "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),  # chosen by the user: it works
        (HMAC, "sk_live_51HxxTESTxxxxxxxxxxxx"),  # Paystack signs with its secret key
        (TOKEN, WHSEC),
        (TOKEN, "correct horse battery staple"),
        (TOKEN, 'a"quote"inside'),
        (TOKEN, "A1B2C3D4E5F6G7H8=="),
        (TOKEN, "https-is-not-a-url"),
        ({"verify": "basic"}, "alice:pass:word"),
        ({"verify": {"scheme": "hmac", "header": "X", "key": "hex"}}, "01 23 45 67 89 ab cd ef"),
    ],
)
def test_what_can_work_is_accepted(entry: dict[str, Any], secret: str) -> None:
    assert mistakes(entry, secret) == []


def test_a_scheme_of_ones_own_is_not_that_of_the_preset() -> None:
    entry = {"preset": "stripe", "verify": {"scheme": "token"}}
    assert mistakes(entry, "sk_live_51HxxTESTxxxxxxxxxxxx") == []


def test_the_verify_token_of_a_handshake_is_checked() -> None:
    entry = {**HMAC, "secret": "a-secret-of-the-tests", "handshake": {"name": "meta", "token": "$TOKEN"}}
    with pytest.raises(SettingsError, match="handshake: is in quotes"):
        read_source("leads", entry, {"TOKEN": '"verify-me-please"'})


def test_issued_secrets_of_presets_are_no_accidents() -> None:
    for name, one in PRESETS.items():
        for beginning in one.get("secret_begins", []):
            secret = f"{beginning}{KEY}"
            assert accident(secret) == "", name
            assert not beginning or kind_of(secret) != "a secret API key (Stripe, Clerk, WorkOS, Memberstack)", name
