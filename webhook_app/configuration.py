"""What the receiver is told: the settings and the sources, with every mistake in either reported at once."""

from collections.abc import Mapping
from pathlib import Path

from webhook_app.sources import Source, load_sources
from webhook_app.sources.secret_forms import read_secret
from worker.errors import SettingsError
from worker.settings import Settings, load_settings


def read_configuration(environ: Mapping[str, str]) -> tuple[Settings, dict[str, Source]]:
    """The settings in ``environ`` and the sources that they name.

    Raises:
        SettingsError: with one sentence for each mistake, in the environment or in the sources file.
    """
    problems: list[str] = []
    settings, sources = None, {}
    try:
        settings = load_settings(environ)
    except SettingsError as error:
        problems += error.problems
    path, secret = (settings.sources_file, settings.webhook_secret) if settings else sources_given(environ)
    try:
        sources = load_sources(path, secret, environ)
    except SettingsError as error:
        problems += error.problems
    if settings is None or problems:
        raise SettingsError(problems)
    homeless = [name for name, source in sources.items() if source.inbox_id is None]
    if settings.livedesk_inbox_id is None and homeless:
        raise SettingsError(
            [f"LIVEDESK_INBOX_ID is not set, and these sources have no inbox_id of their own: {', '.join(homeless)}."]
        )
    return settings, sources


def sources_given(environ: Mapping[str, str]) -> tuple[Path, str | None]:
    """The path of the sources file and the secret of the shortcut, whatever else is wrong with the settings."""
    try:
        secret = read_secret("$WEBHOOK_SECRET", environ)
    except ValueError:
        secret = None
    try:
        path = Path(read_secret("$SOURCES_FILE", environ))
    except ValueError:
        path = Settings.sources_file
    return path, secret
