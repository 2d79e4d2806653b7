"""Everything that can go wrong, as one tree. Catch broadly at the border, narrowly where it can be mended.

SyncError
├── SettingsError          the configuration has mistakes (all of them, one sentence each)
├── Unmappable             a delivery does not make a contact; names every wrong field
├── StoreError             Redis did not do what we asked
│   ├── StoreUnavailable   it could not be reached, or is loading, read-only, failing over
│   └── StoreFull          it is out of memory
└── LiveDeskError          LiveDesk did not do what we asked
    ├── NotSent            nothing reached it: safe to send again
    ├── Throttled          429: not executed, wait
    ├── AnswerUnknown      it may or may not have been executed
    ├── Misconfigured      our key, inbox or address is wrong: no contact is to blame
    ├── Inconclusive       a look-up could not tell whether the contact is there
    └── Rejected           422, 400, 413, 415: it will not take this contact as it is
"""


class SyncError(Exception):
    """The root: every error that LiveDesk Sync raises on purpose."""


class SettingsError(SyncError):
    """The configuration has mistakes; ``problems`` has one plain sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Unmappable(SyncError):
    """A delivery does not make a contact; ``problems`` maps each wrong field to a sentence without its value."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = problems


class StoreError(SyncError):
    """Redis did not do what we asked."""


class StoreUnavailable(StoreError):
    """Redis could not be reached in time, or is loading, read-only or failing over."""


class StoreFull(StoreError):
    """Redis refused the write for want of memory."""


class LiveDeskError(SyncError):
    """LiveDesk did not do what we asked.

    ``cause`` is a short slug from a fixed vocabulary, so that equal causes group and nothing hostile gets into an
    index. ``status`` is the HTTP status where there was one. ``excerpt`` is text of the answer, bounded and cleaned,
    for a person to read; it may hold personal data.
    """

    def __init__(self, cause: str, *, status: int | None = None, excerpt: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.status = status
        self.excerpt = excerpt


class NotSent(LiveDeskError):
    """No byte of the request reached LiveDesk (name look-up, connect, TLS): sending again is safe."""


class Throttled(LiveDeskError):
    """429: LiveDesk did not execute the request. ``retry_after`` is in seconds, ``None`` where it was not said."""

    def __init__(self, cause: str, *, retry_after: float | None = None, status: int = 429, excerpt: str = "") -> None:
        super().__init__(cause, status=status, excerpt=excerpt)
        self.retry_after = retry_after


class AnswerUnknown(LiveDeskError):
    """The request may or may not have been executed: timeout after sending, reset, 5xx, an unreadable 2xx."""


class Misconfigured(LiveDeskError):
    """401, 403, 3xx, 404 or 405 on create: ours to mend, no contact is to blame."""


class Inconclusive(LiveDeskError):
    """A look-up could not tell whether the contact is there. That is not the same as absent."""


class Rejected(LiveDeskError):
    """LiveDesk will not take the contact as it is. ``fields`` are those that it named, of the ones that we send."""

    def __init__(self, cause: str, *, fields: frozenset[str], status: int, excerpt: str = "") -> None:
        super().__init__(cause, status=status, excerpt=excerpt)
        self.fields = fields
