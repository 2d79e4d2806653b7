"""The published benchmarks are what was measured."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.parts import ROOT

CHECK = [sys.executable, "-m", "bench.page", "--check"]
#: A figure in each page that is printed.
FIGURES = {
    "README.md": r"(?<=Accepts about )\d",
    "docs/benchmarks.md": r"\d(?= targets are met)",
    "docs/scale.md": r"\d(?= µs)",
}


def check(root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CHECK, "--root", str(root)], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_pages_and_the_readme_quote_what_was_measured() -> None:
    done = check()
    assert done.returncode == 0, f"python -m bench.page prints these anew: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", FIGURES)
def test_a_typed_figure_is_noticed(name: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for path in ("README.md", "docs/benchmarks.md", "docs/scale.md", "docs/benchmarks.json"):
        shutil.copy(ROOT / path, tmp_path / path)
    page = tmp_path / name
    text, changed = re.subn(FIGURES[name], lambda found: str((int(found[0]) + 1) % 10), page.read_text(), count=1)
    assert changed
    page.write_text(text)
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stdout.split() == [str(page)]
