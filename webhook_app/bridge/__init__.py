"""Runs the Flask application on an ASGI server, where slow clients hold no thread.

``event_loop``  the server's loop, which threads wake only if it may be asleep
``bodies``      reads request bodies in the event loop, each within a deadline
``environ``     makes the WSGI environ of a request, without the headers that could imitate a proxy's
``threads``     run functions for the event loop
``server``      ``Bridge``: runs the application, in the event loop or in threads, and sends its answers
"""

from webhook_app.bridge.server import Bridge

__all__ = ["Bridge"]
