"""The application that ``flask`` finds in this folder when neither ``--app`` nor ``FLASK_APP`` is given."""

from webhook_app.wsgi import app

__all__ = ["app"]
