"""Answers that are not 2xx; nothing is executed unless ``commit`` says so."""

import math
import time
from dataclasses import replace
from email.utils import formatdate

from tests.livedesk import message
from tests.livedesk.exchange import Exchange
from tests.livedesk.message import HTML, JSON, TEXT, Answer
from tests.livedesk.modes.menu import execute_if_wanted, mode
from tests.livedesk.rules import Rule
from tests.livedesk.wire import phrase_of


def refuse(exchange: Exchange, rule: Rule, status: int, shape: str) -> None:
    """Answer with an error, executed or not as the rule says.

    Its ``status`` and ``shape`` override ours.
    """
    execute_if_wanted(exchange, rule)
    status = rule.status or status
    answer = message.error_shaped(status, phrase_of(status), rule.shape or shape)
    exchange.send(replace(answer, headers=retry_after(rule)))


def retry_after(rule: Rule) -> tuple[tuple[str, str], ...]:
    """The Retry-After header: seconds.

    With ``as_date`` the date that many seconds from now; other text unchanged.
    """
    value = rule.retry_after
    if value is None:
        return ()
    if isinstance(value, str):
        return (("Retry-After", value),)
    text = formatdate(math.ceil(time.time() + value), usegmt=True) if rule.as_date else f"{value:g}"
    return (("Retry-After", text),)


@mode(status=500)
def status(exchange: Exchange, rule: Rule) -> None:
    """Any ``status`` (500) with ``body`` as ``content_type``, or with a ``shape``."""
    if rule.body is None:
        return refuse(exchange, rule, 500, "rails")
    execute_if_wanted(exchange, rule)
    answer = Answer(rule.status or 500, rule.body.encode("utf-8", "replace"), rule.content_type or JSON)
    return exchange.send(replace(answer, headers=retry_after(rule)))


@mode()
def status_500(exchange: Exchange, rule: Rule) -> None:
    """500 as Rails answers it, not executed."""
    refuse(exchange, rule, 500, "rails")


@mode()
def html_502(exchange: Exchange, rule: Rule) -> None:
    """502 with the page of a gateway."""
    refuse(exchange, rule, 502, "html")


@mode()
def html_503(exchange: Exchange, rule: Rule) -> None:
    """503 with the page of a gateway (``retry_after``)."""
    refuse(exchange, rule, 503, "html")


@mode()
def status_504(exchange: Exchange, rule: Rule) -> None:
    """504 with the page of a gateway."""
    refuse(exchange, rule, 504, "html")


@mode()
def throttle(exchange: Exchange, rule: Rule) -> None:
    """429, text/plain, ``Retry later``.

    Without Retry-After unless ``retry_after`` is given.
    """
    execute_if_wanted(exchange, rule)
    exchange.send(Answer(429, b"Retry later\n", TEXT, retry_after(rule)))


@mode()
def unauthorized(exchange: Exchange, rule: Rule) -> None:
    """401 (``shape``: its body)."""
    refuse(exchange, rule, 401, "error_text")


@mode()
def forbidden(exchange: Exchange, rule: Rule) -> None:
    """403 (``shape``: its body)."""
    refuse(exchange, rule, 403, "not_authorized")


@mode()
def not_found(exchange: Exchange, rule: Rule) -> None:
    """404 (``shape``: its body)."""
    refuse(exchange, rule, 404, "not_found")


@mode()
def method_not_allowed(exchange: Exchange, rule: Rule) -> None:
    """405 (``shape``: its body)."""
    refuse(exchange, rule, 405, "rails")


@mode(status=302)
def redirect(exchange: Exchange, rule: Rule) -> None:
    """A redirect (``status``, default 302) to ``location``, default ``/elsewhere``.

    Following it appears as "other".
    """
    execute_if_wanted(exchange, rule)
    exchange.send(Answer(rule.status or 302, b"", HTML, (("Location", rule.location or "/elsewhere"),)))
