"""Judges by the workers' logs whether a result was written after that of a later attempt.

A worker that wakes up after its lease was over must write nothing: somebody else may have created the contact by then.
What it would break is mostly repaired by later attempts, so that nothing else shows it.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import pairwise

#: An attempt to create a contact, in a worker's log. Attempts of changes have ``work``.
_ATTEMPT = re.compile(r" attempt key=(\S+) .*\bduration_ms=(\d+) waited_ms=(\d+) number=(\d+)")
_NOT_JUDGED = re.compile(r" (?:work=|written=no)")


def late_results(lines: Iterable[str], spared: Collection[str] = ()) -> list[str]:
    """Return a sentence for each contact of which an older attempt was written last.

    Times count from the contact's first delivery, by the clock of Redis. The contacts with the keys ``spared`` may have
    begun anew, because their persons were deleted.
    """
    ended: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line in lines:
        attempt = _ATTEMPT.search(line)
        if attempt and attempt[1] not in spared and not _NOT_JUDGED.search(line):
            duration_ms, waited_ms, number = map(int, attempt.groups()[1:])
            ended[attempt[1]].append((waited_ms + duration_ms, number))
    return [
        f"{key}: the result of attempt {later} was written after that of attempt {earlier}"
        for key, attempts in ended.items()
        for (_, earlier), (_, later) in pairwise(sorted(attempts))
        if later < earlier
    ]
