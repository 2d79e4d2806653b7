"""Identity systems that you run or program yourself: the sending end is partly yours, so there is code to deploy."""

from collections.abc import Mapping

from webhook_app.sources.presets.preset import CHOSEN, Preset

_KEYCLOAK = """\
curl -X POST https://keycloak.example.com/realms/<realm>/webhooks \\
  -H "Authorization: Bearer $ADMIN_TOKEN" -H "Content-Type: application/json" \\
  -d '{"enabled": "true", "url": "{url}", "secret": "<the secret>",
       "eventTypes": ["access.REGISTER"]}'
"""

_KRATOS = """\
# livedesk.jsonnet
function(ctx) {
  identity: { id: ctx.identity.id, traits: ctx.identity.traits },
}

# kratos.yml; the same under `oidc`, `webauthn` and whatever else people register with
selfservice:
  flows:
    registration:
      after:
        password:
          hooks:
            - hook: web_hook
              config:
                url: {url}
                method: POST
                body: file:///etc/config/kratos/livedesk.jsonnet
                response: { ignore: true }
                auth:
                  type: api_key
                  config: { in: header, name: Authorization, value: Bearer <the secret> }
"""

_FIREBASE = """\
const functions = require("firebase-functions/v1");
const { defineSecret } = require("firebase-functions/params");
const token = defineSecret("LIVEDESK_SYNC_TOKEN");

exports.signup = functions
  .runWith({ secrets: [token], failurePolicy: true }) // tries again when we are down
  .auth.user()
  .onCreate(async ({ uid, email, displayName, phoneNumber, photoURL }) => {
    if (!email && !phoneNumber) return; // an anonymous user
    const answer = await fetch("{url}", {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token.value()}` },
      body: JSON.stringify({ uid, email, displayName, phoneNumber, photoURL }),
    });
    if (!answer.ok) throw new Error(`LiveDesk Sync answered ${answer.status}`);
  });
"""

_COGNITO = """\
export const handler = async (event) => {
  if (event.triggerSource === "PostConfirmation_ConfirmSignUp") {
    const { triggerSource, userName, request } = event;
    try {
      const answer = await fetch("{url}", {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${process.env.LIVEDESK_SYNC_TOKEN}` },
        body: JSON.stringify({ triggerSource, userName, request: { userAttributes: request.userAttributes } }),
        signal: AbortSignal.timeout(3000),
      });
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
    } catch (error) {
      console.error("LiveDesk Sync was not told of a signup", userName, error); // the signup itself goes on
    }
  }
  return event;
};
"""

PRESETS: Mapping[str, Preset] = {
    "fusionauth": {
        "title": "FusionAuth",
        "verify": {
            "scheme": "jwt-header",
            "header": "X-FusionAuth-Signature-JWT",
            "claim": "request_body_sha256",
            "encoding": "base64",
            "algorithms": ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"],
        },
        "needs": ['verify = { jwks = "https://auth.example.com/.well-known/jwks.json" }'],
        "contact": "$.event.user",
        "map": {
            "identifier": "$.id",
            "email": "$.email",
            "name": ["$.fullName", {"join": ["$.firstName", "$.lastName"], "with": " "}],
            "phone_number": "$.mobilePhone",
            "avatar_url": "$.imageUrl",
        },
        "only_if": {
            "$.event.type": [
                "user.create.complete",
                "user.registration.create.complete",
                "user.create",
                "user.registration.create",
            ]
        },
        "secret_fields": ["$.event.user.twoFactor", "$.event.user.password", "$.event.user.salt"],
        "signup": "`user.create.complete`, `user.registration.create.complete`, and both without `.complete`.",
        "console": [
            "In FusionAuth, open Settings > Key Master and generate an RSA or elliptic-curve key.",
            "Under Settings > Webhooks add one with the address `{url}`; under Security, sign events with that key.",
            "Choose the event `user.create.complete` there, and enable it under Tenants > (yours) > Webhooks.",
        ],
        "notes": [
            "Prefer the events that end in `.complete`. The others are sent before the user is stored, and "
            "FusionAuth can be set to fail the registration when we do not answer.",
            "One signup can send several of these events. They make one contact.",
            "There is no secret: we fetch the public key from FusionAuth, so the receiver must be able to reach it. "
            'With an HMAC key instead: `verify = { algorithms = ["HS256"] }` and `secret = "$FUSIONAUTH_SECRET"`.',
        ],
    },
    "keycloak": {
        "title": "Keycloak with the extension keycloak-events",
        "verify": {"scheme": "hmac", "header": "X-Keycloak-Signature"},
        "map": {
            "identifier": "$.authDetails.userId",
            "email": "$.details.email",
            "name": {"join": ["$.details.first_name", "$.details.last_name"], "with": " "},
        },
        "only_if": {"$.type": "access.REGISTER"},
        "secret_fields": ["$.representation"],
        "signup": "`access.REGISTER`: people who register themselves.",
        "console": [
            "Keycloak itself has no webhooks: put the jar of `p2-inc/keycloak-events` into its `providers` folder.",
            "In the Admin Console, under Realm settings > Events > Event listeners, add `ext-event-webhook`.",
            "Create the webhook, with the call below or in the Console's Webhooks page.",
        ],
        "secret_hint": CHOSEN,
        "snippet": ("sh", _KEYCLOAK),
        "notes": [
            "Without a secret the extension does not sign, and we refuse what it sends.",
            "Users whom an administrator creates (`admin.USER-CREATE`) are not taken: their id is only part of a "
            "path in that event.",
        ],
    },
    "kratos": {
        "title": "Ory Kratos",
        "verify": {"scheme": "token", "header": "Authorization"},
        "map": {
            "identifier": ["$.identity.id", "$.identity_id"],
            "email": ["$.identity.traits.email", "$.email"],
            "name": [
                "$.identity.traits.name",
                {"join": ["$.identity.traits.name.first", "$.identity.traits.name.last"], "with": " "},
                {"join": ["$.identity.traits.first_name", "$.identity.traits.last_name"], "with": " "},
            ],
            "phone_number": "$.identity.traits.phone",
        },
        "secret_fields": ["$.ctx", "$.identity.credentials", "$.identity.metadata_admin"],
        "signup": "Every delivery: the hook runs after registration only.",
        "console": ["Deploy this template and this part of the configuration."],
        "secret_hint": CHOSEN,
        "snippet": ("yaml", _KRATOS),
        "notes": [
            "`response.ignore` lets registration go on without waiting for us. Without it, an answer of 400 or "
            "above fails the registration.",
            "Traits have the names of your identity schema. Other names: `map = { phone_number = "
            '"$.identity.traits.mobile" }`.',
        ],
    },
    "firebase": {
        "title": "Firebase Authentication",
        "verify": {"scheme": "token", "header": "Authorization"},
        "map": {
            "identifier": "$.uid",
            "email": "$.email",
            "name": "$.displayName",
            "phone_number": "$.phoneNumber",
            "avatar_url": "$.photoURL",
        },
        "secret_fields": ["$.passwordHash", "$.passwordSalt"],
        "signup": "Every delivery: the function below sends nothing else.",
        "console": [
            "Firebase has no webhooks: deploy this function.",
            "Set its secret: `firebase functions:secrets:set LIVEDESK_SYNC_TOKEN`.",
        ],
        "secret_hint": CHOSEN,
        "snippet": ("js", _FIREBASE),
        "notes": [
            "The function skips anonymous users. One who later gives an e-mail address is not sent again.",
            "Firebase may run the function twice for one user; that makes one contact.",
        ],
    },
    "cognito": {
        "title": "Amazon Cognito",
        "verify": {"scheme": "token", "header": "Authorization"},
        "map": {
            "identifier": ["$.request.userAttributes.sub", "$.userName"],
            "email": "$.request.userAttributes.email",
            "name": [
                "$.request.userAttributes.name",
                {"join": ["$.request.userAttributes.given_name", "$.request.userAttributes.family_name"], "with": " "},
            ],
            "phone_number": "$.request.userAttributes.phone_number",
            "avatar_url": "$.request.userAttributes.picture",
        },
        "only_if": {"$.triggerSource": "PostConfirmation_ConfirmSignUp"},
        "secret_fields": ["$.request.clientMetadata"],
        "signup": "`PostConfirmation_ConfirmSignUp`. A confirmed new password uses the same trigger and is ignored.",
        "console": [
            "Cognito has no webhooks: create this Lambda function (Node.js 20 or newer), with the secret in its "
            "environment variable `LIVEDESK_SYNC_TOKEN`.",
            "In the user pool, under Extensions (or User pool properties), add it as the Post confirmation trigger.",
        ],
        "secret_hint": CHOSEN,
        "snippet": ("js", _COGNITO),
        "notes": [
            "The function never fails a signup, so what is missed while we are down is lost but for its log line.",
            "Users whom an administrator creates do not run this trigger.",
        ],
    },
}
