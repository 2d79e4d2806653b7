"""The door (HTTP in) and the window (JSON and HTML out). Imports ``worker``, never the other way round.

``receiver``       ``POST /webhooks/<source>``: authentic? a contact? safe in Redis? Then 200.
``sources``        who may send, how they sign, and where the contact is in what they send
``contacts``       ``GET /contacts/<identifier>``
``api``            ``/api/v1``: what the dashboard shows and does, as JSON
``actions``        what a person does by hand, for pages, API and commands alike
``shown``          what we know, as JSON; ``table``: contacts as CSV; ``masking``: personal data, hidden
``health``         ``/healthz`` and ``/readyz``
``dashboard``      the pages under ``/dashboard``; who may open them says ``access``
``diary``          what is logged and counted about each delivery
``metrics``        ``/metrics``, for Prometheus
``problems``       every error as RFC 9457 says
``cli``            what an operator does by hand: ``flask doctor``, ``sources``, ``retry``, ...
``quarantine``     deliveries that made no contact, read again
``secret_uses``    when each secret was last used
``configuration``  the settings and the sources, with every mistake in either at once
``wsgi``           joins the parts
"""
