"""A thousand hostile requests: none is answered 5xx, and none leaves a traceback.

``python -m tests.attack fuzz`` sends more of them.
"""

from pathlib import Path

from tests.attack.fuzz import Attack, attacked_receiver, routes

REQUESTS = 1000


def test_no_hostile_request_is_our_fault(redis_url: str, tmp_path: Path) -> None:
    with attacked_receiver(redis_url, tmp_path) as process:
        attack = Attack(process, routes(redis_url), number=REQUESTS, seed=1)
        findings = attack.run()
        assert attack.problems(findings) == []
    assert findings.total >= REQUESTS
    assert findings.answers["200"] > 10, "nothing got as far as it should"
