"""The misbehaviours.

Each function is one mode; its name is the mode's name, its docstring describes it.

``commit`` in a rule says whether the request is executed, whatever the answer is. The default is no, unless the mode
is declared with ``commit=True``. A mode that damages the normal answer leaves one that is not 2xx as it is.
"""

from tests.livedesk.modes import errors, lost, untrue, unusable
from tests.livedesk.modes.menu import FILTERS, MODES, Mode

__all__ = ["FILTERS", "MODES", "Mode", "errors", "lost", "untrue", "unusable"]
