"""How long it takes to send what waits, and what limits that: pure functions.

Requests to LiveDesk have two limits: the pace (``LIVEDESK_RATE``, lower after a 429 or a stop) and look-ups
(``LIVEDESK_LOOK_UPS``). A third one is what the workers can do. ``Overview.due_before`` has the loads that go before a
lane; a plan adds its own ``load_of``, and ``send_ms`` returns how long all of it takes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import sqrt

#: As in ``lua/upstream.lua``: the share of the pace that is used, and how much of the rate a second of good answers
#: adds to a pace that a 429 lowered. After a stop the pace starts at half and doubles within a second. With what
#: waits for the next sweep meanwhile, that takes as long as adding a quarter a second.
HEADROOM, GAIN = 0.984, 0.05
RAMP_FROM, RAMP_GAIN = 0.5, 0.25
#: Requests of a contact that is looked up first: the search, and the create or the update after it.
LOOKED_UP_REQUESTS = 2
#: For how many later moments the time to clear is computed.
MOMENTS = 16


class Limit(StrEnum):
    """What keeps contacts from being sent faster."""

    #: Nothing is due.
    NONE = "none"
    #: ``LIVEDESK_RATE``.
    RATE = "rate"
    #: LiveDesk answered 429 or has just recovered, and the pace rises with each good answer.
    LOWERED = "lowered"
    #: ``LIVEDESK_LOOK_UPS``.
    LOOK_UPS = "look_ups"
    #: All workers are busy.
    WORKERS = "workers"
    NO_WORKER = "no_worker"
    #: Nothing is sent: an operator paused the sync, or it stopped by itself.
    PAUSED = "paused"
    STOPPED = "stopped"
    #: All that is left has a later next attempt, or waits for its inbox.
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Load:
    """Contacts to be sent, their requests, and the look-ups among these.

    The numbers are expected values.
    """

    contacts: float = 0.0
    requests: float = 0.0
    look_ups: float = 0.0

    def __add__(self, other: "Load") -> "Load":
        return Load(self.contacts + other.contacts, self.requests + other.requests, self.look_ups + other.look_ups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What the contacts of the last minutes took beyond one request, on average.

    ``look_ups``: by how many an owner of a refused value was searched, or the contact itself without a lost answer.
    ``requests``: how many more requests, for example a create without the refused field.
    """

    look_ups: float = 0.0
    requests: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests and look-ups per second.

    ``rate``: the highest pace, 0 for no limit. ``reached``: the requests per second that the workers reach while they,
    or LiveDesk's own limit, are what contacts wait for; ``None``: something else is. ``gain``: how much of the rate a
    second of good answers adds to a lower pace.
    """

    pace: float
    rate: float
    look_ups: float
    reached: float | None = None
    gain: float = GAIN


@dataclass(frozen=True, slots=True)
class Planned:
    """Contacts that may be sent from ``at`` (epoch ms) on; a lower lane goes first."""

    at: int
    lane: int
    load: Load


def load_of(contacts: float, *, is_looked_up: bool, usual: Usual) -> Load:
    """Return the load of contacts that are, or are not, looked up first."""
    if is_looked_up:
        return Load(contacts, LOOKED_UP_REQUESTS * contacts, contacts)
    return Load(contacts, (1 + usual.look_ups + usual.requests) * contacts, usual.look_ups * contacts)


def send_ms(loads: Sequence[Load], limits: Limits) -> int | None:
    """Return how long sending takes, if all of it is due now; ``None``: unknown.

    ``loads`` are in the order in which they are sent. What goes first uses the whole pace, and look-ups of later ones
    begin after it; while these wait for look-ups, others are sent.
    """
    if not any(load.contacts for load in loads):
        return 0
    times = [seconds for seconds in _times(loads, limits).values() if seconds is not None]
    return round(max(times) * 1000) if times else None


def bottleneck(loads: Sequence[Load], limits: Limits) -> Limit:
    """Return which limit makes ``send_ms`` what it is."""
    times = {limit: seconds or 0 for limit, seconds in _times(loads, limits).items()}
    if not any(load.contacts for load in loads):
        return Limit.NONE
    longest = max(times.values())
    if not limits.rate:
        return Limit.WORKERS
    # A lowered pace makes all of them longer.
    first = Limit.LOOK_UPS, Limit.WORKERS, Limit.RATE
    found = next(limit for limit in first if times[limit] == longest)
    return Limit.LOWERED if found is Limit.RATE and limits.pace < limits.rate else found


def clear_ms(waiting: Iterable[Planned], limits: Limits, now: int) -> int | None:
    """Return the ms from now until all are sent, some of which may be sent later only.

    From whatever time on one counts: what may not be sent before it takes its time from then at least.
    """
    planned = sorted(waiting, key=lambda each: each.at)
    later = [place for place, each in enumerate(planned) if each.at > now]
    longest = 0
    for place in [0, *later[:: max(1, len(later) // MOMENTS)], *later[-1:]]:
        left = planned[place:]
        ahead = max(0, left[0].at - now) if left else 0
        takes = send_ms(in_order(left), _after(limits, ahead))
        if takes is None:
            return None
        longest = max(longest, ahead + takes)
    return longest


def in_order(waiting: Iterable[Planned]) -> list[Load]:
    """Return the loads by lane, in the order in which lanes are sent."""
    lanes: dict[int, Load] = {}
    for each in waiting:
        lanes[each.lane] = lanes.get(each.lane, Load()) + each.load
    return [lanes[lane] for lane in sorted(lanes)]


def _times(loads: Sequence[Load], limits: Limits) -> dict[Limit, float | None]:
    """Return the seconds that each limit asks for."""
    requests = sum(load.requests for load in loads)
    look_ups_s = 0.0
    before = 0.0
    for place, load in enumerate(loads):
        if load.look_ups and limits.look_ups:
            left = sum(each.look_ups for each in loads[place:])
            took = _look_ups_s(left, limits)
            look_ups_s = max(look_ups_s, _sent_s(before, limits) + took)
        before += load.requests
    return {
        Limit.LOOK_UPS: look_ups_s,
        Limit.WORKERS: requests / limits.reached if limits.reached else None,
        Limit.RATE: _paced_s(requests, limits) if limits.rate else None,
    }


def _after(limits: Limits, ahead_ms: int) -> Limits:
    """Return the limits after some time of good answers."""
    pace = min(limits.rate, limits.pace + limits.gain * limits.rate * ahead_ms / 1000)
    return replace(limits, pace=pace)


def _sent_s(requests: float, limits: Limits) -> float:
    """Return the seconds that requests take where look-ups do not matter."""
    paced = _paced_s(requests, limits) if limits.rate else 0.0
    return max(paced, requests / limits.reached) if limits.reached else paced


def _paced_s(requests: float, limits: Limits) -> float:
    """Return the seconds that requests take at a pace that rises to the rate."""
    pace, rate, gain = HEADROOM * limits.pace, HEADROOM * limits.rate, HEADROOM * limits.gain * limits.rate
    ramp_s = (rate - pace) / gain
    ramped = (pace + rate) / 2 * ramp_s
    if requests >= ramped:
        return ramp_s + (requests - ramped) / rate
    return (sqrt(pace * pace + 2 * gain * requests) - pace) / gain


def _look_ups_s(look_ups: float, limits: Limits) -> float:
    return look_ups / (HEADROOM * limits.look_ups) if limits.rate else 0.0
