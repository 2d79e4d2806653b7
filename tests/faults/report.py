"""The output of a run: the plan, a progress bar, and the table that is published."""

import sys
import time
from collections.abc import Sequence
from statistics import median

from tests.faults.plan import MISBEHAVE, Fault, Plan

#: Seconds between two lines of progress where nobody can see a bar.
LINE_EVERY_S = 10.0
BAR = 30


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Progress:
    """A progress bar on a terminal; a line every few seconds elsewhere."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        self.title = title
        self.quiet = quiet
        self.is_terminal = sys.stdout.isatty()
        self._said_at = 0.0

    def show(self, share: float, text: str) -> None:
        if self.quiet:
            return
        filled = round(BAR * min(1.0, share))
        line = f"{self.title} [{'#' * filled}{'.' * (BAR - filled)}] {share:4.0%} {text}"
        if self.is_terminal:
            sys.stdout.write(f"\r\x1b[K{line[:150]}")
            sys.stdout.flush()
        elif time.monotonic() - self._said_at >= LINE_EVERY_S:
            self._said_at = time.monotonic()
            say(line)

    def end(self) -> None:
        if self.is_terminal and not self.quiet:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()


def plan_text(plan: Plan) -> str:
    on = ", with Sentinel" if plan.failover else ""
    lines = [
        f"seed {plan.seed}: {len(plan.deliveries)} deliveries of {plan.people} people in {plan.duration:.0f} s{on}"
    ]
    for fault in (*plan.outages, *plan.faults):
        told = " ".join(f"{name}={value}" for name, value in fault.options.items())
        lines.append(
            f"{fault.at:8.2f}  {fault.lasts:6.2f} s  {fault.kind:10} {fault.target or 'any request':24} {told}"
        )
    return "\n".join(lines)


def name_of(fault: Fault) -> str:
    """Return the name of this kind of fault in the table."""
    return NAMES.get((fault.kind, fault.sort), f"{fault.kind} {fault.sort}")


NAMES = {
    ("kill", "receiver"): "SIGKILL of a receiver",
    ("kill", "worker"): "SIGKILL of a worker",
    ("kill", "redis"): "SIGKILL of Redis",
    ("stop", "receiver"): "SIGSTOP of a receiver, for up to 3 s",
    ("stop", "worker"): "SIGSTOP of a worker, for up to 3 s",
    ("oversleep", "worker"): "SIGSTOP of a worker, for longer than its leases",
    ("stop", "redis"): "SIGSTOP of Redis, for up to 3 s",
    ("restart", "redis"): "Redis restarted",
    ("kill primary", "redis"): "SIGKILL of the primary Redis; Sentinel promotes its replica",
    ("stop primary", "redis"): "SIGSTOP of the primary Redis; Sentinel promotes its replica",
    ("failover", "redis"): "`SENTINEL FAILOVER`",
    ("deploy", "receiver"): "deployment of a receiver (SIGTERM, start)",
    ("deploy", "worker"): "deployment of a worker (SIGTERM, start)",
    **{
        (kind, sort): f"link to {name} {what}"
        for sort, name in (("livedesk", "LiveDesk"), ("redis", "Redis"))
        for kind, what in (
            ("cut", "cut"),
            ("delay", "delayed"),
            ("reset", "reset in the middle of an answer"),
            ("silence", "silent"),
        )
    },
    ("clock", "receiver"): "clock of a receiver set wrong, by up to a month",
    ("clock", "worker"): "clock of a worker set wrong, by up to a month",
    ("lose", "messages"): "all Celery messages lost",
    ("repeat", "messages"): "Celery messages repeated",
    (MISBEHAVE, "livedesk"): "LiveDesk misbehaves, in one of the stand-in's modes",
    ("down", "livedesk"): "LiveDesk down for 15 to 20 s",
    ("unpaid", "livedesk"): "LiveDesk refuses every create with 402 for 4 to 6 s, in the same words",
    ("firewall", "livedesk"): "the firewall of LiveDesk blocks some contacts for 4 to 6 s",
    ("refuse", "livedesk"): "TLS handshakes with LiveDesk refused for 3 to 5 s",
    ("flush", "redis"): "Redis flushed, after everything else",
    ("stall", "redis"): "Redis stalls for 1.5 to 5 s, as its disk does",
}


def spread(values: Sequence[float], unit: str = " s", digits: int = 2) -> tuple[str, str]:
    """Return the median and the largest of the values."""
    if not values:
        return "not measured", "not measured"
    return f"{median(values):.{digits}f}{unit}", f"{max(values):.1f}{unit}"
