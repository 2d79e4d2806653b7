"""``POST /webhooks/<source>``: signups are verified and stored before the 200.

``view``          the Flask view: verifies, reads and stores a delivery
``replay``        reads and stores quarantined deliveries again
``fail_open``     sources that must never make a signup fail
``delivery_log``  what is logged and counted for each delivery
"""

from webhook_app.receiver.view import blueprint

__all__ = ["blueprint"]
