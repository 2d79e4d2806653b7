"""What a person, or a script of theirs, does by hand: once, for pages, API and commands alike. No HTTP here.

``contacts``    one contact, and what of it and of lists is shown
``operations``  many contacts at once
``sync``        all of it: paused, resumed, probed
``quarantine``  deliveries that made no contact
``refusals``    why something is not done

Each action notes in the audit what was done, by whom (``who``) and why, once it is done. A contact goes by its key.
Every one raises ``StoreError`` where Redis is away, and ``ActionRefused`` where it cannot be done.
"""

from webhook_app.operator.contacts import (
    EDITABLE,
    adopt,
    clashing_field,
    discard,
    edit,
    leave_out,
    retry,
    reveal,
    reveal_list,
)
from webhook_app.operator.operations import (
    WAYS,
    Preview,
    operation,
    preview,
    start,
    turn,
)
from webhook_app.operator.quarantine import (
    held,
    release,
    replay,
    replay_some,
    reveal_held,
)
from webhook_app.operator.refusals import (
    SENTENCES,
    ActionRefused,
    InvalidInput,
    Reason,
)
from webhook_app.operator.sync import pause, probe, resume

__all__ = [
    "EDITABLE",
    "SENTENCES",
    "WAYS",
    "ActionRefused",
    "InvalidInput",
    "Preview",
    "Reason",
    "adopt",
    "clashing_field",
    "discard",
    "edit",
    "held",
    "leave_out",
    "operation",
    "pause",
    "preview",
    "probe",
    "release",
    "replay",
    "replay_some",
    "resume",
    "retry",
    "reveal",
    "reveal_held",
    "reveal_list",
    "start",
    "turn",
]
