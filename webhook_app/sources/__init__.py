"""Who may send, how they prove it, and where the contacts are in what they send.

``source``        one sender: ``verify``, ``payload``, ``read_all``

``proof``         a delivery as it came, and the ways to be unconvincing
``signature``     is this delivery authentic? Over the raw bytes, in constant time. ``signed``: which bytes those are;
                  ``tokens``: secrets that travel along; ``jwts``: JSON Web Tokens, and ``jwks`` the keys for them
``handshakes``    what senders ask besides deliveries

``reader``        bytes to data, whatever kind of body it is. ``body``: strict JSON with exact numbers; ``forms``: forms
``mapping``       data to a contact's raw fields; ``rules``: how a mapping is written; ``paths``: JSONPath; ``search``:
                  the bound on what one may cost

``presets``       ready-made sources
``samples``       a delivery to try a source with; ``send`` signs it, the counterpart of ``verify``
``config``        the sources file, and the one-secret shortcut; ``schemes``: what may stand under ``verify``;
                  ``secret_forms``: how a secret becomes a key; ``mistakes``: how what is wrong is told;
                  ``inventory``: the sources as they are written
"""

from webhook_app.sources.config import load_sources
from webhook_app.sources.source import Source

__all__ = ["Source", "load_sources"]
