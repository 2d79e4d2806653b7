"""Answers that do not match what was sent or stored."""

import time

from tests.livedesk import message
from tests.livedesk.contact import Contact, whole_number
from tests.livedesk.exchange import Exchange
from tests.livedesk.modes.menu import mode, send_damaged
from tests.livedesk.rules import Rule
from tests.livedesk.search import PAGE
from tests.livedesk.service import Quirks


@mode(on="create")
def null_identifier_echo(exchange: Exchange, rule: Rule) -> None:
    """The contact is stored with its identifier, the answer shows null."""
    send_damaged(exchange, lambda contact: contact.update(identifier=None))


@mode(on="create")
def other_identifier_echo(exchange: Exchange, rule: Rule) -> None:
    """The contact is stored with its identifier; the answer shows another (``echo``)."""
    send_damaged(exchange, lambda contact: contact.update(identifier=rule.echo or f"{contact['identifier']}-other"))


@mode(on="create")
def identifier_not_stored(exchange: Exchange, rule: Rule) -> None:
    """The contact is stored without its identifier, so every create makes another one."""
    exchange.send(exchange.execute(Quirks(identifier_kept=False)))


@mode(on="create")
def identifier_not_unique(exchange: Exchange, rule: Rule) -> None:
    """A taken identifier is accepted: every such create makes another contact."""
    exchange.send(exchange.execute(Quirks(identifier_unique=False)))


@mode(on="create")
def attributes_not_stored(exchange: Exchange, rule: Rule) -> None:
    """The contact is stored without the attributes that were sent."""
    exchange.send(exchange.execute(Quirks(attributes_kept=False)))


@mode(on="update")
def attributes_not_merged(exchange: Exchange, rule: Rule) -> None:
    """New attributes replace all others, those of agents too."""
    exchange.send(exchange.execute(Quirks(attributes_merged=False)))


@mode(on="search")
def q_ignored(exchange: Exchange, rule: Rule) -> None:
    """Searches list all contacts whatever ``q`` is."""
    exchange.send(exchange.execute(Quirks(q_heeded=False)))


@mode(on="search")
def chatwoot_sort(exchange: Exchange, rule: Rule) -> None:
    """Lists are sorted as by Chatwoot: ``sort=-created_at``; ``direction`` is ignored."""
    exchange.send(exchange.execute(Quirks(chatwoot_sort=True)))


@mode(on="search")
def newer_search(exchange: Exchange, rule: Rule) -> None:
    """As ``chatwoot_sort``; ids and other e-mail addresses are searched, too."""
    exchange.send(exchange.execute(Quirks(chatwoot_sort=True, newer_search=True)))


@mode(on="search")
def invisible(exchange: Exchange, rule: Rule) -> None:
    """No contact is found, or not the one with ``identifier``; creates still collide."""
    exchange.send(exchange.execute(Quirks(is_visible=lambda contact, age: not concerns(rule, contact))))


@mode(on="search")
def crm_v2(exchange: Exchange, rule: Rule) -> None:
    """As ``invisible``, for contacts that have nothing but an identifier."""
    exchange.send(
        exchange.execute(Quirks(is_visible=lambda contact, age: contact.is_lead or not concerns(rule, contact)))
    )


@mode(on="search", delay=1.0)
def search_lag(exchange: Exchange, rule: Rule) -> None:
    """As ``invisible``, for contacts younger than ``delay`` seconds (default 1)."""
    delay = rule.delay or 0
    exchange.send(exchange.execute(Quirks(is_visible=lambda contact, age: age >= delay or not concerns(rule, contact))))


def concerns(rule: Rule, contact: Contact) -> bool:
    return rule.identifier in (None, contact.identifier)


@mode(on="search")
def endless_pages(exchange: Exchange, rule: Rule) -> None:
    """Searches return endless full pages.

    Every identifier contains ``q``, none equals it.
    """
    answer = exchange.execute()
    if answer.is_success:
        query = exchange.request.query
        page, q = query.get("page", 1), query.get("q", "").strip() or "x"
        meta = {"count": 10**6, "current_page": page}
        answer = message.listed(lookalikes(q, whole_number(page)), meta, with_inboxes=False)
    exchange.send(answer)


def lookalikes(q: str, page: int) -> list[Contact]:
    first, now = 10**9 + max(page, 1) * PAGE, time.time()
    return [Contact(first + i, now, name=q, identifier=f"{q}-{first + i}") for i in range(PAGE)]


@mode(on="create")
def index_race_500(exchange: Exchange, rule: Rule) -> None:
    """A taken identifier or e-mail is answered 500, as from a unique index, not 422."""
    exchange.send(exchange.execute(Quirks(race_lost=True)))


@mode(language="zh")
def localised(exchange: Exchange, rule: Rule) -> None:
    """The messages of a 422 in another ``language``: ``zh`` (default) or ``de``."""
    exchange.send(exchange.execute(Quirks(language=rule.language or "zh")))
