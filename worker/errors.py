"""Every error that can occur, as one tree.

Catch broadly at the edges, narrowly where an error can be handled.

SyncError
├── SettingsError          the configuration is invalid (lists every problem)
├── Unmappable             a delivery has no usable contact (names every invalid field)
├── StoreError             Redis did not do what was requested
│   ├── StoreUnavailable   it cannot be reached, or is loading, read-only or failing over
│   └── StoreFull          it is out of memory
└── LiveDeskError          LiveDesk did not do what was requested; carries its row of ``causes``
    ├── NotSent            nothing reached LiveDesk: safe to send again
    ├── Throttled          429: not executed, wait
    ├── AnswerUnknown      it may or may not have been executed
    ├── Misconfigured      our key, inbox or address is wrong
    ├── Inconclusive       a look-up cannot show whether the contact exists
    └── Rejected           422 and most other 4xx: LiveDesk does not accept this contact as it is
"""

from worker import causes
from worker.causes import Cause


class SyncError(Exception):
    """The root of every error that LiveDesk Sync raises on purpose."""


class SettingsError(SyncError):
    """The configuration is invalid. ``problems`` has one sentence for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Unmappable(SyncError):
    """A delivery has no usable contact: ``problems`` gives a reason for each field."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = problems


class StoreError(SyncError):
    """Redis did not do what was requested."""


class StoreUnavailable(StoreError):
    """Redis cannot be reached in time, or is loading, read-only or failing over."""


class StoreFull(StoreError):
    """Redis refused the write because it is out of memory."""


class TooLargeToKeep(SyncError):
    """A delivery has more bytes than the quarantine keeps of one, even compressed."""


class LiveDeskError(SyncError):
    """LiveDesk did not do what was requested.

    ``cause`` is its row in the table of causes. ``status`` is the HTTP status of the answer, if there was one.
    ``excerpt`` is text of the answer for a person to read, bounded and cleaned; it may contain personal data.
    """

    def __init__(self, cause: Cause, *, status: int | None = None, excerpt: str = "") -> None:
        super().__init__(cause.slug)
        self.cause = cause
        self.status = status
        self.excerpt = excerpt


class NotSent(LiveDeskError):
    """No byte of the request reached LiveDesk, so sending it again is safe."""


class Throttled(LiveDeskError):
    """429: LiveDesk did not execute the request. ``retry_after`` is in seconds."""

    def __init__(self, *, retry_after: float | None = None, status: int = 429, excerpt: str = "") -> None:
        super().__init__(causes.THROTTLED, status=status, excerpt=excerpt)
        self.retry_after = retry_after


class AnswerUnknown(LiveDeskError):
    """The request may have been executed: timeout, reset, 5xx, unreadable 2xx."""


class Misconfigured(LiveDeskError):
    """Our configuration is wrong: 401, 403, 3xx, or 404 and 405 on create."""


class Inconclusive(LiveDeskError):
    """A look-up cannot show whether the contact exists; that does not mean absent."""


class Rejected(LiveDeskError):
    """LiveDesk does not accept the contact as it is: ``fields`` are those it named."""

    def __init__(self, cause: Cause, *, fields: frozenset[str], status: int, excerpt: str = "") -> None:
        super().__init__(cause, status=status, excerpt=excerpt)
        self.fields = fields
