"""How long an operation takes is right within 20 %, whatever waits in the other lanes."""

import redis

from tests.worker.store.simulation import Simulation
from tests.world import FAILED, HOUR_MS
from webhook_app.operator import Operator
from worker.actions import BulkAction
from worker.model import State, Way
from worker.store.lists import Filter

FAR_MS = 600_000


def test_a_plan_and_a_running_operation_count_what_goes_first(client: redis.Redis) -> None:
    crowd = Simulation(client)
    failed = crowd.arrive_tried([f"failed-{number}" for number in range(60)], FAILED)
    crowd.arrive_tried([f"retry-{number}" for number in range(100)])
    crowd.turn(HOUR_MS)
    crowd.arrive([f"import-{number}" for number in range(150)], bulk=True)
    crowd.arrive([f"new-{number}" for number in range(100)])
    crowd.run(2000)
    operator = Operator(crowd.parts, "ada", Way.CLI)
    plan = operator.operations.plan(BulkAction.RETRY, Filter(state=State.FAILED))
    assert plan.takes_ms is not None
    assert plan.behind_ms is not None
    assert plan.behind_ms > plan.takes_ms * 0.6, "most of it is not its own"
    operator.operations.start(plan, canary=True)
    took = crowd.run_until(lambda: all(crowd.has_sent(key) for key in failed), within_ms=FAR_MS)
    assert abs(plan.takes_ms - took) <= took * 0.2
