"""A mapping: takes a contact's fields, and what happened, from a payload.

The result is raw; ``worker.normalise`` validates it. ``rules`` documents how a mapping is written.
"""

from collections.abc import Mapping as Table
from dataclasses import dataclass, field

from webhook_app.sources.mapping.cleared import says_none
from webhook_app.sources.mapping.events import NO_EVENT, NO_RULES, EventRules
from webhook_app.sources.mapping.paths import Path, Scope
from webhook_app.sources.mapping.values import Condition, Place, Rule
from worker.model import ATTRIBUTE_FIELDS, OPTIONAL_FIELDS, Event
from worker.normalise import as_text, is_usable_identifier

#: The fields that a person may no longer have. (An object with attributes says so for each.)
CLEARABLE = tuple(name for name in OPTIONAL_FIELDS if name not in ATTRIBUTE_FIELDS)


@dataclass(slots=True)
class Raw:
    """What a delivery says: a person's raw fields, and what happened.

    A field is ``None`` where the person has no value, and missing where the delivery does not mention it. Of a person
    who was deleted there is only the identifier.
    """

    fields: dict[str, object] = field(repr=False)
    event: Event = NO_EVENT


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a source's payload becomes the raw fields of a contact.

    ``rules`` have the names of ``worker.model.Contact``'s fields, or ``country`` and ``email_verified``. Their ``$`` is
    the contact's object: the first of ``places`` that has an identifier. The ``$`` of ``places`` and of the conditions
    is the whole payload: all of ``only_if`` must hold, unless the event is a deletion, and none of ``ignore_if``.
    ``headers`` are the names of the headers that are used. ``allow_identifiers`` are identifiers that look like
    placeholders. ``absent_clears``: a delivery has the whole person, so that what is missing is gone.
    """

    rules: Table[str, Rule]
    places: tuple[Place, ...]
    only_if: tuple[Condition, ...] = ()
    ignore_if: tuple[Condition, ...] = ()
    headers: tuple[str, ...] = ()
    allow_identifiers: frozenset[str] = frozenset()
    events: EventRules = NO_RULES
    absent_clears: bool = False
    #: The rules but for the identifier's, each with its field, and whether a person may no longer have one.
    _rules: tuple[tuple[str, Rule, bool], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = [(name, rule, name in CLEARABLE) for name, rule in self.rules.items() if name != "identifier"]
        object.__setattr__(self, "_rules", tuple(rules))

    def apply(self, payload: object, scope: Scope, now: float) -> Raw | None:
        """Return what a delivery says.

        ``None``: it is neither a signup nor a deletion. ``now`` is in seconds since the epoch.

        Raises:
            Unmappable: the payload is too large to be searched.
        """
        is_deletion = self.events.is_deletion(payload, scope)
        if not is_deletion:
            for condition in self.only_if:
                if not condition.holds(payload, scope):
                    return None
        for condition in self.ignore_if:
            if condition.holds(payload, scope):
                return None
        event = self.events.read(payload, scope, now, is_deletion=is_deletion)
        contact, identifier = self.contact(payload, scope)
        fields = {} if identifier is None else {"identifier": identifier}
        if not is_deletion:
            self._add_fields(fields, contact, scope)
        return Raw(fields, event)

    def _add_fields(self, fields: dict[str, object], contact: object, scope: Scope) -> None:
        for name, rule, is_clearable in self._rules:
            if (value := rule.value(contact, scope)) is not None:
                fields[name] = value
            elif is_clearable and (self.absent_clears or says_none(rule, contact, scope)):
                fields[name] = None

    def _is_identifier(self, value: object) -> bool:
        return is_usable_identifier(value, self.allow_identifiers)

    def contact(self, payload: object, scope: Scope) -> tuple[object, object]:
        """Return the object with the identifier, and that.

        Without one it is the first object with an identifier that is not usable, or else the last object.
        """
        scope = Scope(scope.headers, scope.work, self._is_identifier)
        rule, last = self.rules["identifier"], self.places[-1]
        contact, unusable = None, None
        for place in self.places:
            for candidate in place.candidates(payload, scope):
                identifier = rule.value(candidate, scope)
                if identifier is not None and (as_text(identifier) or "").strip():
                    is_only = place is last and isinstance(place, Path) and unusable is None
                    if is_only or scope.usable(identifier):
                        return candidate, identifier
                    unusable = unusable or (candidate, identifier)
                contact = candidate if isinstance(candidate, dict) else contact
        return unusable or (contact, rule.value(contact, scope))
