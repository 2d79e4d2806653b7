"""JSON Schemas (2020-12) of the requests, for the checks and for the document."""

from typing import Any

from webhook_app.present.wording import ACTION_WORDS
from worker.actions import BulkAction
from worker.model import State, Way, Work
from worker.normalise import MAX_INBOX_ID, MAX_TEXT, MAX_URL

Schema = dict[str, Any]


def one_of(names: Any) -> Schema:
    return {"type": "string", "enum": [str(name) for name in names]}


def record(properties: Schema, required: tuple[str, ...]) -> Schema:
    """Return the schema of an object with these properties and no other."""
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {**STRING, "format": "date-time"}
NAME: Schema = {**STRING, "minLength": 1, "maxLength": 100}
KEY: Schema = {**STRING, "pattern": "^[A-Za-z0-9._]{16}$"}
OPERATION_ID: Schema = {**STRING, "pattern": "^[0-9a-f]{12}$"}
WHY: Schema = {**STRING, "maxLength": 500, "description": "For the audit log; no personal data."}
REVEAL: Schema = {**BOOLEAN, "default": False, "description": "Show personal data unmasked; this is audited."}
PAGE, CAUSES_PAGE, OPERATIONS_PAGE = 100, 50, 50


def limit(default: int, maximum: int) -> Schema:
    return {**INTEGER, "minimum": 1, "maximum": maximum, "default": default}


FILTER: Schema = {
    "state": one_of(State),
    "cause": NAME,
    "source": NAME,
    "work": {**one_of(Work), "description": "What is to be sent: a new contact, a change or a deletion."},
    "since": {**TIME, "description": "When it entered its state (with a cause: last failed with it), at the earliest."},
    "until": {**TIME, "description": "The same, at the latest."},
    "attempts": {**INTEGER, "minimum": 0, "maximum": 1_000_000, "description": "Minimum number of attempts."},
}
AFTER: Schema = {
    **STRING,
    "pattern": "^[0-9]{1,15}:[A-Za-z0-9._]{16}$",
    "description": "The value of `after` in the previous page.",
}
LIST = record({**FILTER, "after": AFTER, "limit": limit(PAGE, 1000)}, ())
EXPORT = record({**FILTER, "reveal": REVEAL}, ())
ONLY_REVEAL = record({"reveal": REVEAL}, ())
ONLY_WHY = record({"why": WHY}, ())
FIND = record({"text": {**STRING, "minLength": 1, "maxLength": MAX_TEXT}}, ("text",))
IDENTIFIER = record({"identifier": {**STRING, "minLength": 1, "maxLength": MAX_TEXT}}, ("identifier",))
REASON = record({"why": WHY}, ())
CONTACT_ID = {**INTEGER, "minimum": 1, "maximum": 2**53, "description": "By default the conflicting contact's."}
KNOWN = record({"contact_id": CONTACT_ID, "why": WHY}, ())
TEXT_OR_NULL: Schema = {"type": ["string", "null"], "maxLength": 1000}
EDIT_FIELDS: Schema = {
    "name": TEXT_OR_NULL,
    "email": TEXT_OR_NULL,
    "phone_number": TEXT_OR_NULL,
    "avatar_url": {**TEXT_OR_NULL, "maxLength": MAX_URL},
    "inbox_id": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_INBOX_ID},
}
EDIT = record({"fields": {**record(EDIT_FIELDS, ()), "minProperties": 1}, "why": WHY}, ("fields",))
CANARY: Schema = {**BOOLEAN, "default": False, "description": "One contact first, then ten, then the rest."}
DRY_RUN: Schema = {**BOOLEAN, "default": False, "description": "Only return what it would do."}
ACTION: Schema = {
    **one_of(BulkAction),
    "description": " ".join(f"`{action}`: {words.effect}" for action, words in ACTION_WORDS.items()),
}
START = record(
    {"action": ACTION, "filter": record(FILTER, ()), "why": WHY, "canary": CANARY, "dry_run": DRY_RUN},
    ("action", "filter"),
)
OPERATIONS = record({"limit": limit(OPERATIONS_PAGE, 200)}, ())
CAUSES = record({"limit": limit(CAUSES_PAGE, 200)}, ())
OFFSET: Schema = {**INTEGER, "minimum": 0, "maximum": 1_000_000, "default": 0}
CLASH: Schema = {
    "source": {**NAME, "description": "Only deliveries of this source that clash; needs `clashes_with`."},
    "clashes_with": {**NAME, "description": "The source whose people have their identifiers."},
}
QUARANTINE = record({**CLASH, "offset": OFFSET, "limit": limit(PAGE, 200)}, ())
DECISION: Schema = {
    "id_prefix": {
        **STRING,
        "pattern": "^[!-~]{1,64}$",
        "description": "Two people: this precedes the identifier of the delivery.",
    },
    "same_person": {
        **BOOLEAN,
        "default": False,
        "description": "The delivery is about the person of the other source.",
    },
    "why": WHY,
}
REPLAY = record(DECISION, ())
SKIP: Schema = {**OFFSET, "description": "Skip this many, for example those that failed before."}
REPLAY_CLASH = record({**CLASH, **DECISION, "skip": SKIP}, ("source", "clashes_with"))
BEFORE: Schema = {**STRING, "pattern": "^[0-9]{1,15}-[0-9]{1,10}$", "description": "The id of an entry."}
AUDIT_FILTER: Schema = {
    "who": {**STRING, "maxLength": 100, "description": "Part of the name of who acted."},
    "way": {**one_of(Way), "description": "How who acted is known."},
    "action": {**STRING, "maxLength": 100, "description": "Part of what was done, for example `retried`."},
    "contact": {**KEY, "description": "Only about this contact."},
    "since": {**TIME, "description": "At the earliest."},
    "until": {**TIME, "description": "At the latest."},
}
AUDIT = record({**AUDIT_FILTER, "before": BEFORE, "limit": limit(PAGE, 1000)}, ())
AUDIT_CSV = record(AUDIT_FILTER, ())
CHANGES = record(
    {"key": {**KEY, "description": "Only of this contact."}, "before": BEFORE, "limit": limit(PAGE, 1000)}, ()
)

OPERATOR: Schema = {
    "name": "X-Operator",
    "in": "header",
    "description": "Who acts, for the audit log, as `<name> (api)`. It is not verified.",
    "schema": {**STRING, "pattern": "^[A-Za-z0-9._@+-]{1,64}$"},
}
PROBLEM: Schema = {
    "type": "object",
    "description": "An error, as RFC 9457 defines it.",
    "properties": {
        "type": STRING,
        "title": STRING,
        "status": INTEGER,
        "detail": STRING,
        "errors": {"type": "object", "additionalProperties": STRING, "description": "One sentence per invalid field."},
        "reason": {**STRING, "description": "Why the action was refused, for programs."},
    },
    "required": ["type", "title", "status", "detail"],
}
