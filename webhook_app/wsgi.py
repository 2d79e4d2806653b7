"""Creates the application from the environment: ``webhook_app.wsgi:app``.

With mistakes in the configuration a server does not start. The commands still do: ``sources check`` reports those
mistakes, and most commands work without sources.
"""

import os
import sys
from multiprocessing.util import Finalize

from flask import Flask

from webhook_app import cli
from webhook_app.app import create_app
from webhook_app.configuration import UnusableSources, access_of, read_configuration, read_for_command
from webhook_app.parts import Parts
from webhook_app.sources.verify.jwks import keep_fresh
from webhook_app.sources.verify.schemes import key_sets
from worker import telemetry
from worker.errors import SettingsError
from worker.process.envelope import build_envelope
from worker.settings import EX_CONFIG
from worker.store.connection import connect
from worker.store.durability import announce
from worker.store.store import Store
from worker.tasks import create_contact, join_livedesk

#: Seconds that a page waits for Redis. A delivery waits for ``ACCEPT_TIMEOUT``.
READ_TIMEOUT_S = 1.0
#: Whether this is a ``flask`` command and not a server; Flask sets the variable.
IS_COMMAND = os.environ.get("FLASK_RUN_FROM_CLI") == "true"


def join() -> Flask:
    """Create the application from the environment.

    Raises:
        SettingsError: one sentence for each mistake, in the environment or in the sources file.
    """
    settings, sources = (read_for_command if IS_COMMAND else read_configuration)(os.environ)
    telemetry.configure_logging(settings.log_format, settings.log_level)
    telemetry.start_sentry(settings.sentry_dsn, settings.sentry_environment, "web")
    store = Store(
        connect(settings.redis_url, timeout_s=min(READ_TIMEOUT_S, settings.accept_timeout_s)),
        build_envelope(create_contact),
        policy=settings.upstream,
        requirements=settings.requirements,
        patient=connect(settings.redis_url, timeout_s=settings.accept_timeout_s),
        room=settings.threads_that_may_wait,
    )
    if not IS_COMMAND:
        announce(store.connections, settings.requirements)
    parts = Parts(
        store=store,
        sources=sources,
        api_token=settings.api_token,
        metrics_token=settings.metrics_token,
        metrics_open=settings.metrics_open,
        livedesk=join_livedesk(settings),
        inbox_id=settings.livedesk_inbox_id,
        retry=settings.retry,
        settle_ms=settings.livedesk_settle_ms,
        public_url=settings.public_url,
        access=access_of(settings),
    )
    if not IS_COMMAND:
        parts.store.counters.start()
        parts.store.watch.start()
        keep_fresh((each for source in sources.values() for each in key_sets(source.verifiers)), parts.clock)
    # The server's processes are multiprocessing's, which run no atexit. A command has counted what it imported.
    Finalize(None, parts.store.counters.stop, exitpriority=0)
    app = create_app(parts)
    return cli.not_served(app) if isinstance(sources, UnusableSources) else app


try:
    app = join()
except SettingsError as error:
    if not IS_COMMAND:
        sys.stderr.write(f"{error}\n")
        sys.exit(EX_CONFIG)
    app = cli.without_parts(error)
