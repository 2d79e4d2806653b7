"""How LiveDesk is treated: by all workers together, through Redis (``lua/upstream.lua``).

pace      No more than ``LIVEDESK_RATE`` requests a second, over all workers on all hosts. A 429 halves it at once, good
          answers raise it again slowly; look-ups have a limit of their own besides.
breaker   Several contacts in a row, or half of the recent attempts, fail by LiveDesk's fault: it is ``down``, and one
          contact at a time probes whether it is back. Then the pace begins low.
pause     LiveDesk does not let us in, or our address is wrong: we are ``misconfigured``. The same, until a probe gets
          through. An inbox that LiveDesk does not know holds up its own contacts alone.

A worker asks with its claim (``claim.lua``) and tells with its verdict (``finish.lua``): neither costs a round trip.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """``rate``: requests a second, 0 for no limit. ``look_ups_per_minute``: Chatwoot allows 100 searches a minute
    (``rack_attack.rb``, ``RATE_LIMIT_CONTACT_SEARCH``). The wait for a probe doubles from ``probe_first_ms`` to
    ``probe_longest_ms``. ``inbox_id``: that of contacts that name none."""

    rate: float = 0.0
    look_ups_per_minute: float = 100.0
    probe_first_ms: int = 5_000
    probe_longest_ms: int = 300_000
    inbox_id: int | None = None
