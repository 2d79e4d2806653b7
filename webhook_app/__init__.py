"""The web process: webhooks in, dashboard and API out. Imports ``worker``.

``app``            creates the Flask application; ``wsgi`` from the environment; ``parts`` is what views work with
``light_flask``    Flask's request and context, as far as a delivery needs them
``receiver``       ``POST /webhooks/<source>``
``sources``        the senders that we accept, how they sign, and where the contacts are in their deliveries
``dashboard``      the pages under ``/dashboard``
``api``            ``/api/v1`` and ``GET /contacts/<identifier>``
``cli``            ``flask doctor``, ``sources``, ``contacts``, ...
``operator``       what a person can do manually, for the dashboard, the API and the commands alike
``present``        how things are shown: serializers, CSV, masking, wording
``health``         ``/healthz`` and ``/readyz``; ``metrics``: ``/metrics``
``configuration``  the settings and the sources; ``access``: who can sign in; ``problems``: errors (RFC 9457)
"""
