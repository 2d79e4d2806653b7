"""What happened at the source: an event's name, its time, a deletion."""

from dataclasses import dataclass

from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.mapping.times import read_time
from webhook_app.sources.mapping.values import Condition, Rule
from worker.model import Event
from worker.normalise import as_text

#: Characters of the name of an event.
MAX_NAME = 64
NO_EVENT = Event()


@dataclass(frozen=True, slots=True)
class EventRules:
    """How a source says what happened. The ``$`` of all rules is the whole payload.

    ``times`` are alternatives: the first that is a time is used. The person was deleted if all of ``deleted_if`` hold.
    """

    name: Rule | None = None
    times: tuple[Rule, ...] = ()
    deleted_if: tuple[Condition, ...] = ()

    def is_deletion(self, payload: object, scope: Scope) -> bool:
        for condition in self.deleted_if:
            if not condition.holds(payload, scope):
                return False
        return bool(self.deleted_if)

    def read(self, payload: object, scope: Scope, now: float, *, is_deletion: bool) -> Event:
        """Return what happened; ``now`` is in seconds since the epoch."""
        if self.name is None and not self.times and not is_deletion:
            return NO_EVENT
        name = event_name(self.name.value(payload, scope)) if self.name is not None else ""
        for rule in self.times:
            if (at := read_time(rule.value(payload, scope), now)) is not None:
                return Event(name, at, is_deletion)
        return Event(name, None, is_deletion)


NO_RULES = EventRules()


def event_name(value: object) -> str:
    """Return the name of an event on one line, without what cannot be printed."""
    text = as_text(value)
    if text is None:
        return ""
    if not text.isprintable():
        text = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return text.strip()[:MAX_NAME]
