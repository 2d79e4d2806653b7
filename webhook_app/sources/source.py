"""One source: verifies a delivery and reads the contacts in it."""

from dataclasses import dataclass, field

from webhook_app.sources.body.payload_codec import dump_payload
from webhook_app.sources.body.reader import MAX_BYTES, Reader
from webhook_app.sources.delivery import Delivery, Lookup
from webhook_app.sources.mapping.mapping import Mapping
from webhook_app.sources.mapping.paths import ELEMENT_WORK, Path, Scope
from webhook_app.sources.verify import signature
from webhook_app.sources.verify.handshakes import Handshake, Reply
from webhook_app.sources.verify.signature import Signed, Verifier
from webhook_app.sources.verify.tokens import FieldToken
from worker.errors import Unmappable
from worker.model import Contact, Note, Quarantined
from worker.normalise import normalise

#: A contact and notes about what was left out or changed; ``None`` for what is not a signup.
Reading = tuple[Contact, tuple[Note, ...]] | None

NO_HEADERS: Lookup = {}


@dataclass(frozen=True, slots=True)
class Delivered:
    """An authentic delivery; ``secret`` is the number of the one that verified it.

    ``readings`` is a list for a batch, and ``Quarantined`` if no contact could be read.
    """

    secret: int
    readings: Reading | list[Reading] | Quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A sender's settings, ready to use.

    ``region`` is the country of phone numbers without a country code, ``inbox_id`` the inbox of contacts that name
    none. ``on_invalid`` decides about an authentic delivery without a usable contact: ``quarantine``, which does not
    store what is at ``secret_fields``, or ``reject``. ``max_bytes`` limits the body. With ``blocking = false`` a signup
    waits for our answer and must never fail because of us (ADR 8). ``secret_names`` are the names of the secrets, in
    the order in which ``verify`` numbers them. ``preset`` is the name of the preset that the source uses.
    """

    name: str
    verifiers: tuple[Verifier, ...]
    mapping: Mapping
    preset: str | None = None
    reader: Reader = field(default_factory=Reader)
    handshake: Handshake | None = None
    secret_names: tuple[str, ...] = ()
    region: str | None = None
    inbox_id: int | None = None
    on_invalid: str = "reject"
    secret_fields: tuple[Path, ...] = ()
    max_bytes: int = MAX_BYTES
    blocking: bool = True

    @property
    def needs_url(self) -> bool:
        """Whether ``verify`` needs the URL that a delivery was sent to."""
        return any(isinstance(verifier, Signed) and verifier.needs_url for verifier in self.verifiers)

    @property
    def has_token_in_body(self) -> bool:
        """Whether a token in the body proves who sent it, but not that it is whole."""
        return any(isinstance(verifier, FieldToken) for verifier in self.verifiers)

    def read(self, delivery: Delivery, now: float) -> Reply | Delivered:
        """Verify a delivery and read its contacts. ``now`` is in seconds since the epoch.

        Returns a ``Reply`` for a request that only verifies our address.

        Raises:
            Unauthentic, Undecided, BadBody: the delivery is refused.
            Unmappable: it has no usable contact, and the source rejects such deliveries.
        """
        handshake = self.handshake
        if handshake and handshake.ping and (reply := handshake.ping(delivery)):
            return reply
        secret = self.verify(delivery, now)
        payload = self.reader.read(delivery)
        if handshake and handshake.challenge and (reply := handshake.challenge(payload)):
            return reply
        try:
            return Delivered(secret, self.read_payload(payload, delivery.headers))
        except Unmappable as error:
            if self.on_invalid == "reject":
                raise
            return Delivered(secret, self._quarantined(payload, delivery.headers, error))

    def verify(self, delivery: Delivery, now: float) -> int:
        """Return the number of the secret that verifies the delivery, from 0.

        Raises:
            Unauthentic: none does.
            Undecided: none does, and a key that has to be fetched is not available.
        """
        return signature.verify(self.verifiers, delivery, now)

    def read_payload(self, payload: object, headers: Lookup = NO_HEADERS) -> Reading | list[Reading]:
        """Return the contact in a payload, or in each element of a batch.

        Raises:
            Unmappable: there is none, or none in one of the elements; ``problems`` names them all.
            TooLarge: the batch has too many elements.
        """
        scope = Scope(headers)
        elements = self.reader.elements(payload, scope)
        return self.read_element(payload, scope) if elements is None else self._read_each(elements, scope)

    def read_element(self, payload: object, scope: Scope) -> Reading:
        """Return the contact in a single payload, or in one element of a batch.

        Raises:
            Unmappable: there is none.
        """
        raw = self.mapping.apply(payload, scope)
        return None if raw is None else normalise(raw, region=self.region, inbox_id=self.inbox_id)

    def _read_each(self, elements: list[object], scope: Scope) -> list[Reading]:
        scope.work.left += ELEMENT_WORK * len(elements)
        readings: list[Reading] = []
        problems: dict[str, str] = {}
        for number, element in enumerate(elements):
            try:
                readings.append(self.read_element(element, scope))
            except Unmappable as error:
                problems |= {f"[{number}].{name}": problem for name, problem in error.problems.items()}
        if problems:
            raise Unmappable(problems)
        return readings

    def _quarantined(self, payload: object, headers: Lookup, error: Unmappable) -> Quarantined:
        needed = {name: value for name in self.mapping.headers if (value := headers.get(name)) is not None}
        kept = dump_payload(payload, self.secret_fields)
        return Quarantined(source=self.name, payload=kept, problems=error.problems, headers=needed)
