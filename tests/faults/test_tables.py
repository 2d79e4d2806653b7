"""The tables have what the runs found, and replace the former ones on a page."""

from pathlib import Path

import pytest

from tests.faults.inject import Injected
from tests.faults.plan import Fault
from tests.faults.run import Result
from tests.faults.tables import BEGIN, END, tables, write
from tests.rig.parts import ROOT


def result(seed: int) -> Result:
    made = Result(seed, Path())
    made.injected = [Injected(Fault(0, 1, "kill", "worker 1"), 1, 2), Injected(Fault(0, 1, "lose", "messages"), 1, 2)]
    made.amid = [3, 0]
    made.offered, made.creates, made.states, made.drain_s = 5000, 1234, {"created": 7, "failed": 0}, 4.0
    return made


def test_the_tables_add_up_the_runs() -> None:
    text = tables([result(1), result(2)], "python -m tests.faults")
    assert "seeds 1 to 2, 5,000 deliveries each" in text
    assert "| SIGKILL of a worker | 2 | 6 |" in text
    assert "| all Celery messages lost | 2 |  |" in text
    assert "| **all faults** | **4** | **6** |" in text
    assert "| creates sent | 2,468 |" in text
    assert "| contacts in state `created` | 14 |" in text
    assert "failed" not in text
    assert "| from the end of the last fault until no contact was open | 4.00 s | 4.0 s |" in text


def test_they_replace_the_former_ones(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="does not have the lines"):
        write(page, "new")


def test_the_page_has_a_place_for_them() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    assert text.index(BEGIN) < text.index(END)
