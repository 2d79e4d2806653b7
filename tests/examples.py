"""How many examples the searches of the state machines try.

The suite tries few, so that it takes minutes. The long form tries ten times as many:
``EXAMPLES=10 make test ARGS='tests/worker/store -k "any_order or whatever"'``.
"""

import os

#: Multiplies the examples of each search.
FACTOR = float(os.environ.get("EXAMPLES", "1"))


def examples(number: int) -> int:
    """Return how many examples to try where the suite tries this many."""
    return max(1, round(number * FACTOR))
