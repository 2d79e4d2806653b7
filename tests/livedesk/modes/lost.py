"""Answers that are lost, late or slow, but correct."""

from tests.livedesk.exchange import Exchange
from tests.livedesk.modes.errors import refuse
from tests.livedesk.modes.menu import execute_if_wanted, mode
from tests.livedesk.rules import Rule


@mode(commit=True)
def commit_then_500(exchange: Exchange, rule: Rule) -> None:
    """Executed, then 500 (``shape``: its body)."""
    refuse(exchange, rule, 500, "rails")


@mode()
def commit_then_hang(exchange: Exchange, rule: Rule) -> None:
    """Executed, then silence until the client leaves or for ``delay`` seconds."""
    exchange.execute()
    if exchange.delay(rule.delay):
        exchange.break_off()


@mode()
def commit_then_reset(exchange: Exchange, rule: Rule) -> None:
    """Executed, then a TCP reset."""
    exchange.execute()
    exchange.reset()


@mode()
def commit_then_close(exchange: Exchange, rule: Rule) -> None:
    """Executed, then an orderly close without an answer."""
    exchange.execute()
    exchange.break_off()


@mode()
def commit_then_truncate(exchange: Exchange, rule: Rule) -> None:
    """Executed, then half of the answer's body, then close."""
    answer = exchange.execute()
    raw = exchange.bytes_of(answer)
    exchange.send_raw(raw[: len(raw) - (len(answer.body) + 1) // 2])
    exchange.break_off(answer.status)


@mode(delay=1.0)
def hang_then_commit(exchange: Exchange, rule: Rule) -> None:
    """Executed after ``delay`` seconds (1), even if the client has left."""
    exchange.sleep(rule.delay or 0)
    exchange.send(exchange.execute())


@mode()
def reset(exchange: Exchange, rule: Rule) -> None:
    """A TCP reset, nothing executed."""
    execute_if_wanted(exchange, rule)
    exchange.reset()


@mode()
def close(exchange: Exchange, rule: Rule) -> None:
    """An orderly close without an answer, nothing executed."""
    execute_if_wanted(exchange, rule)
    exchange.break_off()


@mode()
def hang(exchange: Exchange, rule: Rule) -> None:
    """Silence until the client leaves, or for ``delay`` seconds, then close.

    Never executed.
    """
    if exchange.delay(rule.delay):
        exchange.break_off()


@mode(delay=1.0)
def slow(exchange: Exchange, rule: Rule) -> None:
    """A normal answer after ``delay`` seconds (default 1).

    Not executed if the client leaves before.
    """
    if exchange.delay(rule.delay or 0):
        exchange.send(exchange.execute())


@mode(delay=0.005)
def drip(exchange: Exchange, rule: Rule) -> None:
    """The normal answer one byte at a time, ``delay`` seconds apart (default 0.005)."""
    answer = exchange.execute()
    exchange.trickle(exchange.bytes_of(answer), answer.status, rule.delay or 0)


@mode()
def idle_close(exchange: Exchange, rule: Rule) -> None:
    """The normal answer with keep-alive, then close, which breaks the next request."""
    exchange.send(exchange.execute())
    exchange.closing = True


@mode()
def garbage(exchange: Exchange, rule: Rule) -> None:
    """Bytes that are not HTTP, then close."""
    execute_if_wanted(exchange, rule)
    exchange.send_raw(b"\x15\x03\x01\x00\x02\x02\x28 not HTTP\r\n\r\n")
    exchange.break_off()
