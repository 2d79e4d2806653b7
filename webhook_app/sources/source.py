"""One source: verifies a delivery and reads the contacts in it."""

import time
from dataclasses import dataclass, field

from webhook_app.sources.body.payload_codec import dump_payload
from webhook_app.sources.body.reader import MAX_BYTES, Reader
from webhook_app.sources.delivery import Delivery, Lookup
from webhook_app.sources.mapping.mapping import Mapping
from webhook_app.sources.mapping.paths import ELEMENT_WORK, Path, Scope, TooMuchWork
from webhook_app.sources.verify import signature
from webhook_app.sources.verify.callback_id import CallbackId, Reusable
from webhook_app.sources.verify.handshakes import Handshake, Reply
from webhook_app.sources.verify.signature import Signed, Verifier
from worker.errors import Unmappable
from worker.model import Identity, OnChange, OnConflict, OnDelete, Origin, Quarantined, Signup
from worker.normalise import normalise

#: A contact and notes about what was left out or changed; ``None`` for what is not a signup.
Reading = Signup | None

NO_HEADERS: Lookup = {}


@dataclass(slots=True)
class Element:
    """A payload, or one element of a batch, and what could be read in it.

    ``is_ignored_deletion``: it is not a signup because the source ignores deletions.
    """

    payload: object = field(repr=False)
    reading: Reading | Unmappable
    is_ignored_deletion: bool = False


@dataclass(slots=True)
class Delivered:
    """An authentic delivery: one element, or those of a batch.

    ``secret`` is the number of the secret that verified it. ``headers`` are those that the mapping needs.
    """

    secret: int
    elements: list[Element]
    is_batch: bool
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A sender's settings, ready to use.

    ``region`` is the country of phone numbers without a country code, ``inbox_id`` the inbox of contacts that name
    none. ``origin`` says where its contacts come from, from ``identity`` to ``on_delete``; without ``on_change``
    changes of a visitor are only noted. ``id_prefix`` precedes identifiers, and ``allow_identifiers`` are real ones
    that look like placeholders. With ``html_entities`` the sender escapes texts for HTML. ``on_invalid`` decides about
    an authentic delivery without a usable contact: ``quarantine``, which does not store what is at ``secret_fields``,
    or ``reject``. ``max_bytes`` limits the body. With ``blocking = false`` a signup waits for our answer and must never
    fail because of us (ADR 8). ``secret_names`` are the names of the secrets, in the order in which ``verify`` numbers
    them. ``preset`` is the name of the preset that the source uses.
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
    identity: Identity = Identity.ACCOUNT
    id_space: str = ""
    siblings: tuple[str, ...] = ()
    id_prefix: str = ""
    on_conflict: OnConflict = OnConflict.ASK
    on_change: OnChange | None = None
    on_delete: OnDelete = OnDelete.IGNORE
    allow_identifiers: tuple[str, ...] = ()
    html_entities: bool = False
    origin: Origin = field(init=False, repr=False, compare=False)
    #: Whether ``verify`` needs the URL that a delivery was sent to.
    needs_url: bool = field(init=False, repr=False, compare=False)
    _callback_ids: tuple[CallbackId, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        default = OnChange.NOTE if self.identity is Identity.VISITOR else OnChange.UPDATE
        origin = Origin(
            source=self.name,
            identity=self.identity,
            id_space=self.id_space,
            on_conflict=self.on_conflict,
            siblings=self.siblings,
            on_change=self.on_change or default,
            on_delete=self.on_delete,
        )
        object.__setattr__(self, "origin", origin)
        needs_url = any(isinstance(verifier, Signed) and verifier.needs_url for verifier in self.verifiers)
        object.__setattr__(self, "needs_url", needs_url)
        callback_ids = tuple(verifier for verifier in self.verifiers if isinstance(verifier, CallbackId))
        object.__setattr__(self, "_callback_ids", callback_ids)

    def reusable_signature(self, delivery: Delivery) -> Reusable | None:
        """Return a verified delivery's signature, if it does not cover the body.

        It may have one body only.
        """
        return self._callback_ids[0].reusable(delivery) if self._callback_ids else None

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
        secret = signature.verify(self.verifiers, delivery, now)
        payload = self.reader.read(delivery)
        if handshake and handshake.challenge and (reply := handshake.challenge(payload)):
            return reply
        delivered = self.read_again(payload, delivery.headers, secret, now=now)
        if self.on_invalid == "reject" and not delivered.is_batch:
            reading = delivered.elements[0].reading
            if isinstance(reading, Unmappable):
                raise Unmappable(reading.problems)
        return delivered

    def read_again(
        self,
        payload: object,
        headers: Lookup = NO_HEADERS,
        secret: int = 0,
        *,
        is_element: bool = False,
        now: float | None = None,
    ) -> Delivered:
        """Read an authentic payload; ``is_element``: it was one element of a batch.

        ``now`` is in seconds since the epoch.

        Raises:
            TooLarge: the batch has too many elements.
        """
        scope, now = Scope(headers), time.time() if now is None else now
        names = self.mapping.headers
        needed = {name: value for name in names if (value := headers.get(name)) is not None} if names else {}
        try:
            elements = None if is_element else self.reader.elements(payload, scope)
            if elements is None:
                return Delivered(secret, [self._read_element(payload, scope, now)], False, needed)
            scope.work.left += ELEMENT_WORK * len(elements)
            return Delivered(secret, [self._read_element(element, scope, now) for element in elements], True, needed)
        except TooMuchWork as error:
            return Delivered(secret, [Element(payload, error)], False, needed)

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
        delivered = self.read_again(payload, headers)
        _raise_problems(delivered)
        readings = [element.reading for element in delivered.elements if not isinstance(element.reading, Unmappable)]
        return readings if delivered.is_batch else readings[0]

    def quarantined(
        self, delivered: Delivered, element: Element, problems: dict[str, str], clash: str = ""
    ) -> Quarantined:
        """Return an element of a delivery for the quarantine, without its secret fields."""
        return Quarantined(
            source=self.name,
            payload=dump_payload(element.payload, self.secret_fields),
            problems=problems,
            headers=delivered.headers,
            is_element=delivered.is_batch,
            clash=clash,
        )

    def _read_element(self, payload: object, scope: Scope, now: float) -> Element:
        try:
            raw = self.mapping.apply(payload, scope, now)
            if raw is None:
                return Element(payload, None)
            is_deletion = raw.event.is_deletion
            if is_deletion and self.on_delete is OnDelete.IGNORE:
                return Element(payload, None, is_ignored_deletion=True)
            return Element(
                payload,
                normalise(
                    raw.fields,
                    region=self.region,
                    inbox_id=None if is_deletion else self.inbox_id,
                    id_prefix=self.id_prefix,
                    allow_identifiers=self.allow_identifiers,
                    html_entities=self.html_entities,
                    event=raw.event,
                ),
            )
        except TooMuchWork:
            raise
        except Unmappable as error:
            return Element(payload, error)


def problems_in(delivered: Delivered) -> dict[str, str]:
    """Return the problems of all elements; those of a batch begin with ``[<number>]``."""
    return {
        f"[{number}].{name}" if delivered.is_batch else name: problem
        for number, element in enumerate(delivered.elements)
        if isinstance(element.reading, Unmappable)
        for name, problem in element.reading.problems.items()
    }


def _raise_problems(delivered: Delivered) -> None:
    if problems := problems_in(delivered):
        raise Unmappable(problems)
