"""HTML pages for operators, rendered on the server. JavaScript is optional.

``session``       who is signed in, and for how long; ``needs``, which every view must carry
``blueprint``     the blueprint, and what each request passes: ``safety`` has CSRF, security headers, compression
``sign_in``       signing in with a password, and signing out
``oidc``          signing in with the company's identity provider
``pages``         what every page has
``headline``      the current state in words: the headline, and the alarm in the title of the page
``overview``      the start page, and the page of one cause
``contacts``      lists of contacts, and finding one
``contact``       one contact: ``explanation`` why it is where it is, ``comparison`` what LiveDesk has
``operations``    many contacts at once
``upstream``      LiveDesk: state, pace, pause and probe
``sources``       the senders
``quarantine``    deliveries in quarantine, and clashes
``workers``       the hosts that workers run on, and the queue
``audit``         what operators did
``static_files``  styles and scripts, at addresses that change with their content
``errors``        error pages for everything under ``/dashboard``

Templates are in ``webhook_app/templates/dashboard``; ``macros.html`` has the components. Every value is escaped: no
template may use ``safe``.
"""

from flask import Flask
from jinja2 import StrictUndefined

from webhook_app.dashboard import (
    audit,
    contact,
    contacts,
    errors,
    oidc,
    operations,
    overview,
    quarantine,
    session,
    sign_in,
    sources,
    static_files,
    upstream,
    workers,
)
from webhook_app.dashboard.blueprint import blueprint

#: Importing these modules adds their views to the blueprint.
VIEWS = (
    *(static_files, sign_in, oidc, overview, contacts, contact, operations),
    *(upstream, sources, quarantine, workers, audit),
)


__all__ = ["VIEWS", "blueprint", "init_app"]


def init_app(app: Flask) -> None:
    """Prepare an app for the dashboard's blueprint, after its own error handlers."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    session.init_app(app)
    oidc.init_app(app)
    errors.init_app(app)
