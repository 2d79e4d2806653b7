"""What the API takes and answers, as JSON Schema (2020-12). Requests are checked against the very schemas that the
document shows."""

from typing import Any

from worker.model import Outcome, State, Status
from worker.normalise import MAX_INBOX_ID, MAX_TEXT, MAX_URL
from worker.store.operations import Action, OperationState
from worker.store.overview import FLOW

Schema = dict[str, Any]

INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
STRING: Schema = {"type": "string"}
#: RFC 3339.
TIME: Schema = {"type": "string", "format": "date-time"}
KEY: Schema = {"type": "string", "pattern": "^[A-Za-z0-9._]{16}$", "description": "What a contact goes by here."}
OPERATION_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{12}$"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 100}
WHY: Schema = {"type": "string", "maxLength": 500, "description": "For the audit. No personal data, please."}
FOUND_MOST, PAGE, PAGE_MOST = 200, 100, 1000
LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": PAGE_MOST, "default": PAGE}
REVEAL: Schema = {**BOOLEAN, "default": False, "description": "Show personal data unmasked; it is noted in the audit."}


def one_of(names: Any) -> Schema:
    return {"type": "string", "enum": [str(name) for name in names]}


def optional(schema: Schema) -> Schema:
    """The same, or null."""
    loose = {**schema, "type": [schema["type"], "null"]}
    return {**loose, "enum": [*schema["enum"], None]} if "enum" in schema else loose


def record(properties: Schema, required: tuple[str, ...] | None = None) -> Schema:
    """An object with just these; all of them are there, unless it is said which are."""
    names = list(properties) if required is None else list(required)
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": names} if names else made


def counts(names: Any) -> Schema:
    """How many there are of each; what is not named is none."""
    return record({str(name): COUNT for name in names}, ())


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


# What is asked for

FILTER: Schema = {
    "state": one_of(State),
    "cause": NAME,
    "source": NAME,
    "since": {**TIME, "description": "Entered its state (with a cause: last failed so) at this time or later."},
    "until": {**TIME, "description": "... at this time or before."},
    "attempts": {**COUNT, "maximum": 1_000_000, "description": "A least number."},
}
#: Where the last page ended.
AFTER: Schema = {"type": "string", "pattern": "^[0-9]{1,15}:[A-Za-z0-9._]{16}$"}
LIST = record({**FILTER, "after": AFTER, "limit": LIMIT}, ())
LIST_CSV = record({**FILTER, "reveal": REVEAL}, ())
ONLY_REVEAL = record({"reveal": REVEAL}, ())
FIND = record({"text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}})
REASON = record({"why": WHY}, ())
ADOPT = record(
    {
        "contact_id": {"type": "integer", "minimum": 1, "maximum": 2**53, "description": "By default the owner's."},
        "why": WHY,
    },
    (),
)
EDIT_FIELDS: Schema = {
    "name": {"type": ["string", "null"], "maxLength": 1000},
    "email": {"type": ["string", "null"], "maxLength": 1000},
    "phone_number": {"type": ["string", "null"], "maxLength": 1000},
    "avatar_url": {"type": ["string", "null"], "maxLength": MAX_URL},
    "inbox_id": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_INBOX_ID},
}
EDIT = record({"fields": {**record(EDIT_FIELDS, ()), "minProperties": 1}, "why": WHY}, ("fields",))
START = record(
    {
        "action": one_of(Action),
        "filter": record(FILTER, ()),
        "why": WHY,
        "canary": {
            **BOOLEAN,
            "default": False,
            "description": "One first, then ten, then the rest, while it goes well.",
        },
        "dry_run": {**BOOLEAN, "default": False, "description": "Only tell what it would do."},
    },
    ("action", "filter"),
)
OPERATIONS = record({"limit": {**LIMIT, "maximum": FOUND_MOST}}, ())
CAUSES = record({"limit": {**LIMIT, "maximum": FOUND_MOST, "default": 50}}, ())
QUARANTINE = record({"offset": {**COUNT, "maximum": 1_000_000, "default": 0}, "limit": {**LIMIT, "maximum": 200}}, ())
AUDIT = record({"before": {"type": "string", "pattern": "^[0-9]{1,15}-[0-9]{1,10}$"}, "limit": LIMIT}, ())
NOTHING = record({}, ())

# What is answered

FIELDS: Schema = {
    "name": optional(STRING),
    "email": optional(STRING),
    "phone_number": optional(STRING),
    "avatar_url": optional(STRING),
    "inbox_id": optional(INTEGER),
}
ATTEMPT = record(
    {
        "at": TIME,
        "duration_ms": INTEGER,
        "status": optional(INTEGER),
        "cause": optional(STRING),
        "excerpt": optional(STRING),
        "trigger": {**optional(STRING), "description": "Who asked for it; null where it came by itself."},
    }
)
ROW = record(
    {
        "key": KEY,
        "identifier": STRING,
        "state": one_of(State),
        "source": STRING,
        "cause": optional(STRING),
        "attempts_made": COUNT,
        "received_at": TIME,
        "at": {**optional(TIME), "description": "What the list is sorted by: since when it is in its state or cause."},
        "next_attempt_at": optional(TIME),
        "contact_id": optional(INTEGER),
        "owner_id": optional(INTEGER),
        "unknown": {**BOOLEAN, "description": "Nobody knows what became of a create for it."},
    }
)
CONTACT = record(
    {
        "key": KEY,
        "identifier": STRING,
        "state": one_of(State),
        "outcome": optional(one_of(Outcome)),
        "contact_id": optional(INTEGER),
        "cause": optional(STRING),
        "owner_id": {**optional(INTEGER), "description": "The contact in LiveDesk that is in its way."},
        "notes": several(record({"field": STRING, "text": STRING})),
        "attempts": several(ATTEMPT),
        "attempts_made": COUNT,
        "next_attempt_at": optional(TIME),
        "source": STRING,
        "received_at": TIME,
        "closed_at": optional(TIME),
        "newer_fields": several(STRING),
        "newer_at": optional(TIME),
        "fields": {**record(FIELDS), "type": ["object", "null"], "description": "Masked; null once it is created."},
    }
)
UPSTREAM = record(
    {
        "state": one_of(("up", "paused", "down", "misconfigured")),
        "cause": optional(STRING),
        "status": optional(INTEGER),
        "since": optional(TIME),
        "probe_at": optional(TIME),
        "probes": COUNT,
        "paused_at": optional(TIME),
        "paused_by": optional(STRING),
        "paused_why": optional(STRING),
        "pace": {**NUMBER, "description": "Requests a second, now."},
        "rate": {**NUMBER, "description": "Requests a second, at most; 0 is no limit."},
        "answered_at": optional(TIME),
        "held_inboxes": several(record({"inbox": STRING, "since": TIME, "probe_at": TIME, "probes": COUNT})),
    }
)
SITUATION = record(
    {
        "now": TIME,
        "upstream": ref("Upstream"),
        "contacts": record({state.value: COUNT for state in State}),
        "queue": COUNT,
        "oldest_pending_at": optional(TIME),
        "next_retry_at": optional(TIME),
        "overdue_ms": COUNT,
        "failed_last_hour": COUNT,
        "conflicts_last_hour": COUNT,
        "created_per_minute": NUMBER,
        "usual_per_minute": NUMBER,
        "requests_per_second": NUMBER,
        "clear_s": optional(NUMBER),
    }
)
CAUSE = record(
    {
        "cause": STRING,
        "waiting": COUNT,
        "people": COUNT,
        "attempts": COUNT,
        "first_seen_at": optional(TIME),
        "last_seen_at": TIME,
        "minutes": {**several(COUNT), "description": "Of the last hour, the oldest first."},
    }
)
OPERATION = record(
    {
        "id": OPERATION_ID,
        "action": one_of(Action),
        "filter": record({name: optional(schema) for name, schema in FILTER.items()}),
        "state": one_of(OperationState),
        "who": STRING,
        "why": STRING,
        "canary": BOOLEAN,
        "created_at": TIME,
        "ended_at": optional(TIME),
        "note": STRING,
        **dict.fromkeys(("total", "moved", "skipped"), COUNT),
        **dict.fromkeys(("recovered", "same", "again", "left", "restored"), COUNT),
    }
)
PREVIEW = record(
    {
        "eligible": COUNT,
        "skipped": counts(State),
        "at_least": {**BOOLEAN, "description": "Not all were looked at."},
        "pace": NUMBER,
        "finish_s": {**optional(NUMBER), "description": "Null while nothing is sent."},
    }
)
HELD = record({"entry": KEY, "source": STRING, "since": TIME, "problems": {"type": "object"}})
HELD_WHOLE = record(
    {
        **HELD["properties"],
        "payload": {**optional(STRING), "description": "JSON, as text. Null unless revealed."},
        "headers": {"type": ["object", "null"]},
    }
)
PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": STRING,
        "title": STRING,
        "status": INTEGER,
        "detail": STRING,
        "errors": {"type": "object", "additionalProperties": STRING, "description": "A sentence for each wrong field."},
        "reason": {"type": "string", "description": "Why it could not be done, for a program."},
    },
    "required": ["type", "title", "status", "detail"],
}
COMPONENTS: dict[str, Schema] = {
    "Row": ROW,
    "Contact": CONTACT,
    "Contacts": record(
        {
            "contacts": several(ref("Row")),
            "after": {**optional(STRING), "description": "Where the next page begins. A page may be short."},
            "matching": {**optional(COUNT), "description": "Null on later pages, and where all must be looked at."},
        }
    ),
    "Found": record({"contacts": several(ref("Row"))}),
    "Retried": record({"key": KEY, "state": one_of((State.PENDING, State.RETRYING))}),
    "Discarded": record({"key": KEY, "state": one_of((State.DISCARDED,))}),
    "Adopted": record({"key": KEY, "state": one_of((State.CREATED,)), "contact_id": INTEGER}),
    "Upstream": UPSTREAM,
    "Situation": SITUATION,
    "Flow": record({"minutes": several(record({"at": TIME, **dict.fromkeys(FLOW, COUNT)}))}),
    "Cause": CAUSE,
    "Causes": record({"causes": several(ref("Cause"))}),
    "Operation": OPERATION,
    "Operations": record({"operations": several(ref("Operation"))}),
    "Preview": PREVIEW,
    "Sources": record(
        {
            "sources": several(
                record(
                    {
                        "name": STRING,
                        "address": STRING,
                        "preset": optional(STRING),
                        "on_invalid": STRING,
                        "region": optional(STRING),
                        "inbox_id": optional(INTEGER),
                        "blocking": BOOLEAN,
                        "secrets": several(record({"name": STRING, "last_used_at": optional(TIME)})),
                        "deliveries": several(record({"status": STRING, "ever": COUNT, "last_hour": COUNT})),
                        "refusals": several(record({"reason": STRING, "ever": COUNT, "last_hour": COUNT})),
                    }
                )
            )
        }
    ),
    "Held": HELD,
    "HeldWhole": HELD_WHOLE,
    "Quarantine": record({"deliveries": several(ref("Held"))}),
    "Replayed": record({"status": one_of((Status.ACCEPTED, Status.DUPLICATE, Status.IGNORED))}),
    "Workers": record({"now": TIME, "workers": several(record({"name": STRING, "seen_at": TIME}))}),
    "Audit": record(
        {
            "entries": several(
                record({"id": STRING, "at": TIME, "who": STRING, "did": STRING, "target": STRING, "why": STRING})
            )
        }
    ),
    "Problem": PROBLEM,
    "Document": {"type": "object"},
}
