"""The senders that we accept, how they sign, and where the contacts are.

``source``     one source: verifies a delivery and reads its contacts (``read``)
``delivery``   a delivery as it arrived, and why one is refused
``verify``     signatures, tokens, JSON Web Tokens, and the handshakes by which senders verify a URL
``body``       the body as data: JSON, forms, gzip, batches; payloads for the quarantine
``mapping``    data to a contact's raw fields: rules, and the paths (JSONPath) in them
``presets``    ready-made sources, as TOML, with a sample delivery each
``config``     reads the sources file; ``inventory`` lists it with its mistakes
``sample``     a delivery to test a source with; ``send`` signs it
``docs``       generates ``docs/sources.md``
"""

from webhook_app.sources.config import load_sources
from webhook_app.sources.source import Source

__all__ = ["Source", "load_sources"]
