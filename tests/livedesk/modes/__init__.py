"""The menu of misbehaviours. Each function is one mode; its name is the mode's name, its docstring the menu's line.

``commit`` in a rule says whether the request is executed although the answer does not tell; each mode has its own
default, which is no unless its line here says ``commit=True``. Where a mode damages the normal answer, an answer
that is not 2xx goes out as it is.
"""

from tests.livedesk.modes import errors, lost, untrue, unusable
from tests.livedesk.modes.menu import FILTERS, MODES, Mode

__all__ = ["FILTERS", "MODES", "Mode", "errors", "lost", "untrue", "unusable"]
