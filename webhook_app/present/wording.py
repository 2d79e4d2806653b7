"""Numbers, counted nouns and charts in words; ``None`` is *unknown*, never 0."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from webhook_app.present.sending import STOPPED
from worker.actions import BulkAction, Obstacle
from worker.durations import UNKNOWN, absolute, clock_time, duration, relative, rfc3339
from worker.estimate import Limit
from worker.model import CONTACT_FIELDS, Identity, OnChange, OnConflict, OnDelete, Outcome, Way
from worker.store.contacts import Erased
from worker.store.counters import Total
from worker.store.operations import Operation
from worker.store.overview import Overview


@dataclass(frozen=True, slots=True)
class ActionWords:
    """How an action on many contacts is worded.

    ``many`` is a button or a heading, with ``{}`` for what it affects; ``effect`` says in a sentence what happens to
    each contact, and ``reason`` why a person would choose it. ``done`` is what a contact is then, and ``undo`` what an
    undo cannot do.
    """

    many: str
    effect: str
    done: str
    reason: str = ""
    undo: str = ""


#: Buttons, plans, commands and the API word the actions alike.
ACTION_WORDS: Mapping[BulkAction, ActionWords] = {
    BulkAction.RETRY: ActionWords("Retry {}", "It is tried again, with a new retry budget.", "created"),
    BulkAction.DISCARD: ActionWords(
        "Discard {}",
        "It is not tried again. Retry brings it back. Of a change, LiveDesk's contact stays as it is.",
        "discarded",
    ),
    BulkAction.KNOWN: ActionWords(
        "Mark {} as known",
        "LiveDesk's contact stays as it is. Nothing is sent, and ours counts as created.",
        "known",
        "The same person, and LiveDesk's contact is right.",
        "A copy of their data is kept for as long, and then deleted.",
    ),
    BulkAction.ADOPT: ActionWords(
        "Adopt {}",
        "LiveDesk's contact gets our identifier, even if it has another one. It keeps its other data.",
        "adopted",
        "The same person, and LiveDesk should use our identifier.",
        "What LiveDesk has changed by then stays changed.",
    ),
    BulkAction.WITHOUT: ActionWords(
        "Create {} without the field",
        "A new contact is created, without the e-mail address or phone number that another contact has.",
        "created",
        "Another person, who shares the address or number.",
        "What LiveDesk has created by then stays there.",
    ),
}
#: Attributes that a sentence names.
MAX_NAMED = 8
#: What an erasure leaves to do.
ERASED = "Erased{}. A new delivery with {} will create a new contact."
STILL_IN_LIVEDESK = "LiveDesk still has contact {}: delete it there too."
MAYBE_IN_LIVEDESK = (
    "The answer to a create request was lost: LiveDesk may have this contact. Search for the identifier in LiveDesk "
    "before it is delivered again, or it may exist there twice."
)
#: Who can choose the identifiers of a source.
IDENTITY_WORDS = {
    Identity.ACCOUNT: "only the system that issues the identifiers can choose them",
    Identity.VISITOR: "anybody can choose the identifier",
}
#: What happens if LiveDesk has an e-mail address under an identifier that we do not know.
ON_CONFLICT_WORDS = {
    OnConflict.ASK: "an operator decides",
    OnConflict.KNOWN: "it counts as the same person",
    OnConflict.WITHOUT: "the contact is created without the address",
}
#: What happens to changes after the signup.
ON_CHANGE_WORDS = {OnChange.UPDATE: "sent to LiveDesk", OnChange.NOTE: "recorded here only"}
#: How a contact got into LiveDesk, and what happened to it there.
OUTCOME_WORDS = {
    Outcome.CREATED: "created",
    Outcome.ADOPTED: "adopted: it existed already",
    Outcome.KNOWN: "known: LiveDesk has this person under another identifier",
    Outcome.UPDATED: "updated: it has what changed later at the source",
    Outcome.MARKED: "marked: its custom attribute account_deleted_at says when the source deleted the person",
    Outcome.DELETED: "deleted: LiveDesk no longer has it",
}
#: Why an action skips a conflict.
OBSTACLE_WORDS = {
    Obstacle.NO_OWNER: "it is not known which contact in LiveDesk has the value",
    Obstacle.NOT_TAKEN: "no other contact in LiveDesk has its e-mail address or phone number",
    Obstacle.DELETION: "the source has deleted the person; a deletion cannot be discarded",
    Obstacle.CHANGE: "LiveDesk has the contact already, and only a change of it was refused",
    Obstacle.UNVERIFIED: "the sender says that the address is not verified; compare and adopt these one by one",
}


def field_label(name: str) -> str:
    """``phone number``, ``custom attribute plan``."""
    field, dot, attribute = name.partition(".")
    label = CONTACT_FIELDS[field].label if field in CONTACT_FIELDS else field
    return f"{label.removesuffix('s')} {attribute}" if dot else label


def field_labels(names: Iterable[str]) -> str:
    """``phone number, custom attributes plan, seats``."""
    by_field: dict[str, list[str]] = {}
    for name in names:
        field, _, attribute = name.partition(".")
        by_field.setdefault(field, []).extend([attribute] if attribute else [])
    return ", ".join(_field_label(field, attributes) for field, attributes in by_field.items())


def _field_label(field: str, attributes: list[str]) -> str:
    if len(attributes) < 2:
        return field_label(".".join([field, *attributes]))
    more = f" and {len(attributes) - MAX_NAMED} more" if len(attributes) > MAX_NAMED else ""
    return f"{CONTACT_FIELDS[field].label} {', '.join(attributes[:MAX_NAMED])}{more}"


def name_action(action: BulkAction, what: str) -> str:
    """``Mark 12 contacts as known``."""
    return ACTION_WORDS[action].many.format(what)


def describe_undo(operation: Operation) -> str:
    """Return how many contacts an undo has restored, and how many it could not."""
    words = ACTION_WORDS[operation.action]
    parts = [f"{_were(operation.restored)} restored."]
    if operation.recovered and operation.action.sends:
        parts.append(f"{_were(operation.recovered)} {words.done} already, which cannot be undone.")
    elif operation.recovered:
        stay = "stays" if operation.recovered == 1 else "stay"
        parts.append(f"{_were(operation.recovered)} changed in the meantime, and {stay} {words.done}.")
    if operation.left and operation.action.sends:
        parts.append(f"{_were(operation.left)} changed in the meantime, and left alone.")
    return " ".join(parts)


def _were(number: int) -> str:
    return f"{counted(number, 'contact')} {'was' if number == 1 else 'were'}"


def number(value: float | None) -> str:
    """``1,204``."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """``9.6``, ``52``, ``1,204``: one decimal below 10."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"


def counted(number: int, singular: str, plural: str = "") -> str:
    """``1 delivery``, ``1,204 deliveries``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def describe_deletion(on_delete: OnDelete, deletes: bool | None) -> str:
    """Say what really happens to a deletion; ``deletes``: ``Account.deletes``."""
    if on_delete is OnDelete.IGNORE:
        return "ignored"
    if on_delete is OnDelete.MARK:
        return "the contact in LiveDesk is marked as deleted"
    if deletes:
        return "the contact in LiveDesk is deleted"
    if deletes is None:
        return "the contact in LiveDesk is only marked as deleted, until flask doctor finds that it can be deleted"
    return "the contact in LiveDesk is only marked as deleted, because this account does not allow deletions"


def people(number: int) -> str:
    """``1 person``, ``1,204 people``."""
    return counted(number, "person", "people")


def aliases(number: int) -> str:
    """``1 alias``, ``12 aliases``."""
    return counted(number, "alias", "aliases")


def erased(result: Erased) -> list[str]:
    """Return what was erased, and what is left to do."""
    others = f", and {aliases(result.aliases)}" if result.aliases else ""
    sentences = [ERASED.format(others, "one of these identifiers" if others else "this identifier")]
    if result.quarantined:
        what = counted(result.quarantined, "delivery", "deliveries")
        sentences.append(f"Deleted {what} in quarantine that contained this person's data.")
    if result.not_searched:
        what = counted(result.not_searched, "delivery", "deliveries")
        sentences.append(f"There was no time to search {what} in quarantine: open them, or wait 14 days.")
    if result.contact_id:
        sentences.append(STILL_IN_LIVEDESK.format(result.contact_id))
    if result.is_unknown:
        sentences.append(MAYBE_IN_LIVEDESK)
    return sentences


def clashing(number: int) -> str:
    """``1 delivery clashes``, ``12 deliveries clash``."""
    return f"{counted(number, 'delivery', 'deliveries')} {'clashes' if number == 1 else 'clash'}"


def evictions(evicted: Mapping[str, Total]) -> list[str]:
    """Return a sentence for each source whose share of the quarantine was full."""
    return [
        f"Evicted because the share of {source} was full: {counted(total.ever, 'delivery', 'deliveries')}, "
        f"{total.last_hour:,} of them in the last hour."
        for source, total in evicted.items()
    ]


def explain_clash(source: str, other: str, *, many: bool = False) -> str:
    """Return what is wrong with a delivery of ``source``, or ``many``, that clash."""
    what, belongs, person = (
        ("identifiers of these deliveries", "belong", "people")
        if many
        else ("identifier of this delivery", "belongs", "a person")
    )
    whose = "that this source sent before its `id_space` was changed" if source == other else f"of `{other}`"
    return (
        f"The {what} from `{source}` {belongs} to {person} {whose}, and neither e-mail address nor phone number agrees."
    )


def takes(ms: float | None) -> str:
    """``less than 1 s``, ``45 s``, ``3 min 20 s``, ``25 min``, ``2 h 5 min``."""
    if ms is None:
        return UNKNOWN
    seconds = round(ms / 1000)
    if ms < 1000:
        return "less than 1 s"
    if seconds < 60:
        return f"{seconds} s"
    step, small, large, names = (10, 60, 600, ("min", "s")) if seconds < 3600 else (300, 3600, 36_000, ("h", "min"))
    rounded = round(seconds / step) * step if seconds < large else round(seconds / small) * small
    whole, rest = divmod(rounded, small)
    return f"{whole} {names[0]}" + (f" {rest * 60 // small} {names[1]}" if rest else "")


def limit_words(overview: Overview) -> str:
    """Return what keeps contacts from being sent faster; "" if nothing waits."""
    upstream = overview.upstream
    words = {
        Limit.RATE: f"LIVEDESK_RATE: {rate(upstream.rate)} requests per second",
        Limit.LOWERED: f"the pace, now {rate(upstream.pace)} of {rate(upstream.rate)}/s: it rises with good answers",
        Limit.LOOK_UPS: f"LIVEDESK_LOOK_UPS: {rate(overview.limits.look_ups * 60)} look-ups per minute",
        Limit.WORKERS: "the workers: all are busy",
        Limit.NO_WORKER: "no worker is running",
        Limit.PAUSED: f"{upstream.paused_by} paused the sync",
        Limit.STOPPED: STOPPED.get(upstream.stop or "", ""),
        Limit.LATER: "the next attempts are later" if overview.later else "they wait for their inbox",
    }
    return words.get(overview.limit, "")


def clear_words(overview: Overview) -> str:
    """``clears in 4 min 30 s``, or why nobody can say."""
    if not overview.backlog:
        return "no backlog"
    if overview.backlog == overview.held:
        return "waiting for their inbox"
    if not overview.is_sending:
        return "nothing is sent"
    if overview.clear_ms is None:
        return "time to clear unknown"
    held = f" ({overview.held:,} held)" if overview.held else ""
    return f"clears in {takes(overview.clear_ms)}{held}"


def code_spans(text: str) -> Markup:
    """Return HTML in which text between backticks is code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - the text is escaped


def points(values: Sequence[float | None], width: int, height: int, top: float = 0) -> list[str]:
    """Return each unbroken stretch as an SVG polyline; unknown values are gaps.

    ``top`` is the value at the upper edge, by default the greatest.
    """
    top = top or max((value for value in values if value is not None), default=0) or 1
    step = width / max(len(values) - 1, 1)
    lines: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{index * step:.1f},{height - 1 - (height - 2) * value / top:.1f}")
    return [" ".join(line) for line in lines if line]


#: How the audit log knows who acted.
WAY_WORDS = {
    Way.PASSWORD: "password",
    Way.PROVIDER: "identity provider",
    Way.API: "API",
    Way.CLI: "command line",
    Way.SYNC: "sync",
}


def way_words(way: str) -> str:
    """Return how somebody is known; ``""`` of an entry that does not say so."""
    return WAY_WORDS.get(Way(way), "") if way in tuple(Way) else ""


#: The filters of the templates, by name.
FILTERS: dict[str, Callable[..., Any]] = {
    **{each.__name__: each for each in (number, rate, counted, people, points, aliases, code_spans)},
    **{each.__name__: each for each in (name_action, describe_undo, field_label, field_labels)},
    **{each.__name__: each for each in (takes, limit_words, clear_words, way_words)},
    **{each.__name__: each for each in (duration, relative, absolute, clock_time)},
    "machine_time": rfc3339,
}
