"""A named sender that we accept: how it proves itself, and where in what it sends the contacts are."""

from dataclasses import dataclass, field

from webhook_app.sources.body.reader import MAX_BYTES, Reader
from webhook_app.sources.mapping.mapping import Mapping
from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.mapping.search import Remove
from webhook_app.sources.mapping.steps import ELEMENT_WORK
from webhook_app.sources.verify import signature
from webhook_app.sources.verify.delivery import Delivery, Lookup
from webhook_app.sources.verify.handshakes import Handshake
from webhook_app.sources.verify.signature import Verifier
from webhook_app.sources.verify.signed import Signed
from worker.errors import Unmappable
from worker.model import Contact, Note
from worker.normalise import normalise

#: A contact and notes about what was left out or changed; ``None`` for what is no signup.
Reading = tuple[Contact, tuple[Note, ...]] | None

NO_HEADERS: Lookup = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``region`` is where phone numbers without a country code are from, ``inbox_id`` where contacts go by default.

    ``on_invalid`` says what becomes of an authentic delivery that makes no contact: ``quarantine``, where what is found
    at ``secret_fields`` is not kept, or ``reject``. ``max_bytes`` bounds a delivery's body.
    Where ``blocking`` is false, somebody's signup waits for our answer and must not fail for anything that goes wrong
    here (ADR 8). ``secret_names`` are what the secrets are called, in the order in which ``verify`` counts them.
    ``preset`` names the one that the source was made from.
    """

    name: str
    ways: tuple[Verifier, ...]
    mapping: Mapping
    preset: str | None = None
    reader: Reader = field(default_factory=Reader)
    handshake: Handshake | None = None
    secret_names: tuple[str, ...] = ()
    region: str | None = None
    inbox_id: int | None = None
    on_invalid: str = "reject"
    secret_fields: tuple[Remove, ...] = ()
    max_bytes: int = MAX_BYTES
    blocking: bool = True

    @property
    def needs_url(self) -> bool:
        """Whether ``verify`` looks at the address that a delivery was sent to."""
        return any(isinstance(way, Signed) and way.needs_url for way in self.ways)

    def verify(self, delivery: Delivery, now: float) -> int:
        """Which of the source's secrets vouches for the delivery, counted from 0. ``now``: seconds since the epoch.

        Raises:
            Unauthentic: none does.
            Undecided: none does, and one that has to be fetched cannot be.
        """
        return signature.verify(self.ways, delivery, now)

    def payload(self, delivery: Delivery) -> object:
        """The data in the body of a delivery that was verified.

        Raises:
            BadBody: there is none, or too much, or it is of a type that the source does not take.
        """
        return self.reader.read(delivery)

    def read(self, payload: object, headers: Lookup = NO_HEADERS) -> Reading:
        """The contact in one payload, or in one element of a batch.

        Raises:
            Unmappable: there is no contact in it.
        """
        return self._read(payload, Scope(headers))

    def read_all(self, payload: object, headers: Lookup = NO_HEADERS) -> Reading | list[Reading]:
        """The contact in a payload; for a batch, that of each of its elements.

        Raises:
            Unmappable: there is no contact in it, or in one of the elements; then ``problems`` names them all.
            TooLarge: it is a batch of too many elements.
        """
        scope = Scope(headers)
        elements = self.reader.elements(payload, scope)
        return self._read(payload, scope) if elements is None else self._read_each(elements, scope)

    def _read_each(self, elements: list[object], scope: Scope) -> list[Reading]:
        scope.work.left += ELEMENT_WORK * len(elements)
        readings: list[Reading] = []
        problems: dict[str, str] = {}
        for number, element in enumerate(elements):
            try:
                readings.append(self._read(element, scope))
            except Unmappable as error:
                problems |= {f"[{number}].{name}": problem for name, problem in error.problems.items()}
        if problems:
            raise Unmappable(problems)
        return readings

    def _read(self, payload: object, scope: Scope) -> Reading:
        raw = self.mapping.apply(payload, scope)
        return None if raw is None else normalise(raw, region=self.region, inbox_id=self.inbox_id)
