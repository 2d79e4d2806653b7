"""Whatever happens to the receiver, no acknowledged delivery is lost."""

from functools import partial

from tests.e2e.conftest import StartSystem
from tests.e2e.system import stream_of_deliveries
from tests.world import wait_until


def test_a_receiver_killed_amid_a_stream_has_stored_what_it_acknowledged(start_system: StartSystem) -> None:
    system = start_system()
    receiver = system.stack.receiver
    with stream_of_deliveries(system) as acknowledged:
        for killed in (1, 2, 3):
            wait_until(partial(has_more_than, acknowledged, 50 * killed), "deliveries are acknowledged")
            receiver.kill()
            system.assert_sound()
            receiver.start()

    known = system.known()
    assert set(acknowledged) <= known
    system.drain()
    system.assert_everybody(known)


def has_more_than(items: list[str], number: int) -> bool:
    return len(items) > number


def test_a_receiver_that_is_asked_to_stop_answers_what_it_has_taken(start_system: StartSystem) -> None:
    system = start_system()
    receiver = system.stack.receiver
    with stream_of_deliveries(system) as acknowledged:
        wait_until(partial(has_more_than, acknowledged, 50), "deliveries are acknowledged")
        receiver.stop()
    assert receiver.exit_code == 0
    known = system.known()
    assert set(acknowledged) == known, "a delivery was stored, and its sender got no answer"
    receiver.start()
    system.drain()
    system.assert_everybody(known)
