"""Two people under one identifier, delivered by two sources."""

from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.model import Contact
from worker.store.quarantine import Clash

SECRET = "a-secret-of-the-tests"
HEADERS = {"Authorization": f"Bearer {SECRET}"}


def clash(
    parts: Parts, identifier: str = "7", source: str = "shop", other: str = "signup", *, known: bool = False
) -> str:
    """Let a delivery of ``source`` clash with a person of ``other``. Return its entry.

    ``known``: that person is there already. Both sources are like those of ``tests.browser.seed``.
    """
    before = {kept.entry for kept in parts.store.quarantine.page(limit=1000)}
    if not known:
        parts.store.contacts.accept(
            Contact(identifier, 1, "Ada", f"ada-{identifier}@example.com"), parts.sources[other].origin
        )
    payload = {"id": identifier, "email": f"bob-{identifier}@example.com"}
    answer = create_app(parts).test_client().post(f"/webhooks/{source}", json=payload, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    [entry] = {kept.entry for kept in parts.store.quarantine.page(limit=1000)} - before
    return entry


def waiting(parts: Parts) -> list[Clash]:
    return parts.store.overview.read().clashes
