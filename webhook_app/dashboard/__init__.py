"""The window: HTML pages for an operator, made on the server; they work without JavaScript and are nicer with it.

``session``       who is signed in, and for how long; ``needs``, which every view must carry
``safety``        no foreign page may act here (CSRF), none of ours may do what it need not (headers)
``sign_in``       password in, session out; signing out
``oidc``          the same by a company's identity provider
``header``        the figures on top of every page
``pages``         what is on all of them; each page, or a few that belong together, is a module:
``overview``      what is broken, and one cause        ``causes``   what each cause means to a person
``contacts``      lists of contacts, and looking one up, with ``filters``: which contacts those are
``contact``       one contact: ``verdict`` why it is where it is, ``requests`` what is sent, ``conflicts`` with whom
``operations``    many contacts at once                ``view``     what these three have in common
``upstream``      LiveDesk, pause and probe            ``sources``  who sends, and the quarantine
``workers``       who works, and what waits            ``audit``    who did what by hand
``static_files``  style and script, under addresses that change with their content
``words``         how times, numbers and charts are put
``errors``        what goes wrong under ``/dashboard``, as a page

Templates are in ``webhook_app/templates/dashboard``; ``macros.html`` there has the parts that pages are made of. Every
value is escaped, whoever wrote it: no template may say ``safe``.
"""

from typing import TYPE_CHECKING

from flask import Blueprint, Flask
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from webhook_app.dashboard import (
    audit,
    contact,
    contacts,
    errors,
    oidc,
    operations,
    overview,
    pages,
    safety,
    session,
    sign_in,
    sources,
    static_files,
    upstream,
    workers,
)
from webhook_app.present import wording

if TYPE_CHECKING:
    from webhook_app.parts import Parts

PREFIX = "/dashboard"
PAGES = (pages, overview, contacts, contact, operations, upstream, sources, workers, audit)


def register(app: Flask, parts: "Parts") -> None:
    """Adds the dashboard to an app, after the app's own error handlers."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    views = Blueprint("dashboard", __name__, url_prefix=PREFIX)
    for part in (session, safety, static_files, wording, sign_in, oidc, *PAGES):
        part.register(views, parts)
    app.register_blueprint(views)
    session.sign(app, parts)
    errors.register(app)
    proxies = parts.access.proxies
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
