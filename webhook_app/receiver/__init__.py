"""``POST /webhooks/<source>``: a signup arrives, is checked, and is stored before the sender gets its 200.

``view``          the Flask view
``storing``       contacts and quarantined deliveries into the store; also used to replay the quarantine (``replay``)
``fail_open``     sources that must never make a signup fail
``delivery_log``  what is logged and counted for each delivery
"""

from webhook_app.receiver.view import blueprint

__all__ = ["blueprint"]
