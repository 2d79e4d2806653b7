"""Deliberate bugs, which a run must find.

Each changes one line in a copy of ``worker`` that precedes the real one on the ``PYTHONPATH`` of all processes.
"""

import shutil
from pathlib import Path

from tests.rig.parts import ROOT

#: By name: the file, the line as it is, and the line with the bug.
SABOTAGES: dict[str, tuple[str, str, str]] = {
    "claim": (
        "store/lua/claim.lua",
        "  if state == 'sending' and lease_until > now then return { 'busy' } end\n",
        "",
    ),
    "finish": (
        "store/lua/finish.lua",
        "if from ~= 'sending' or record[2] ~= args.token then\n",
        "if not from then\n",
    ),
    "change": (
        "store/lua/accept.lua",
        "local is_change = state == 'created' and not is_promoted and not args.on_change\n",
        "local is_change = false\n",
    ),
    "stale": (
        "store/lua/events.lua",
        "  return at and event_at and at < event_at\n",
        "  return false\n",
    ),
    "revive": (
        "store/lua/events.lua",
        "  if is_buried and not args.deletes then return not at or at <= event_at end\n",
        "",
    ),
    "settle": (
        "sync.py",
        "            if looked_at < settled_at:\n",
        "            if False:\n",
    ),
}


def sabotaged(name: str, folder: Path) -> Path:
    """Return a folder with a copy of ``worker`` that has this bug.

    Raises:
        ValueError: the line has changed: update the sabotage.
    """
    file, line, bug = SABOTAGES[name]
    copy = folder / "worker"
    shutil.copytree(ROOT / "worker", copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / file).read_text(encoding="utf-8")
    if text.count(line) != 1:
        raise ValueError(f"worker/{file} has no such line, or more than one: {line.strip()}")
    (copy / file).write_text(text.replace(line, bug), encoding="utf-8")
    return folder
