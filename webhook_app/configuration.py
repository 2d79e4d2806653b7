"""Reads settings and sources, and reports all mistakes in both at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from webhook_app.access import Access, Provider
from webhook_app.sources import Source, load_sources
from webhook_app.sources.verify.secret_forms import read_secret
from worker.errors import SettingsError
from worker.settings import Settings, load_settings


def read_configuration(environ: Mapping[str, str]) -> tuple[Settings, dict[str, Source]]:
    """Return the settings in ``environ`` and the sources in the file that they name.

    Raises:
        SettingsError: one sentence for each mistake, in the environment or in the sources file.
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
    if settings is not None:
        problems += problems_of_access(settings)
    if settings is None or problems:
        raise SettingsError(problems)
    without_inbox = [name for name, source in sources.items() if source.inbox_id is None]
    if settings.livedesk_inbox_id is None and without_inbox:
        names = ", ".join(without_inbox)
        raise SettingsError([f"LIVEDESK_INBOX_ID is not set, and these sources have no inbox_id: {names}."])
    return settings, sources


class UnusableSources(Mapping[str, Source]):
    """Sources with mistakes in them: any use raises the mistakes."""

    def __init__(self, error: SettingsError) -> None:
        self.error = error

    def __getitem__(self, name: str) -> NoReturn:
        raise self.error

    def __iter__(self) -> Iterator[str]:
        raise self.error

    def __len__(self) -> int:
        raise self.error


def read_for_command(environ: Mapping[str, str]) -> tuple[Settings, Mapping[str, Source]]:
    """Return the settings of a command, and the sources that only some commands need.

    Raises:
        SettingsError: one sentence for each mistake. Mistakes in the sources alone are raised when they are used.
    """
    try:
        return read_configuration(environ)
    except SettingsError as error:
        try:
            has_mistakes = problems_of_access(load_settings(environ))
        except SettingsError:
            has_mistakes = error.problems
        if has_mistakes:
            raise
        return load_settings(environ), UnusableSources(error)


def problems_of_access(settings: Settings) -> list[str]:
    """Return one sentence for each mistake in the settings of the dashboard's access."""
    passwords = (settings.dashboard_password, settings.dashboard_viewer_password)
    client = (settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret)
    people = settings.oidc_operators + settings.oidc_viewers
    mistakes = {
        "DASHBOARD_PASSWORD and DASHBOARD_VIEWER_PASSWORD must differ.": passwords[0] is not None
        and passwords[0] == passwords[1],
        "OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET: set all three or none.": any(client) and not all(client),
        "OIDC_ISSUER is set, but nobody can sign in: set OIDC_OPERATORS or OIDC_VIEWERS.": bool(client[0])
        and not people,
    }
    return [sentence for sentence, applies in mistakes.items() if applies]


def access_of(settings: Settings) -> Access:
    """Return the access to the dashboard that the settings allow."""
    provider = None
    if settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret:
        provider = Provider(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            operators=settings.oidc_operators,
            viewers=settings.oidc_viewers,
            groups_claim=settings.oidc_groups_claim,
        )
    return Access(
        operator_password=settings.dashboard_password,
        viewer_password=settings.dashboard_viewer_password,
        provider=provider,
        proxies=settings.trusted_proxies,
    )


def sources_given(environ: Mapping[str, str]) -> tuple[Path, str | None]:
    """Return SOURCES_FILE and WEBHOOK_SECRET, also if other settings have mistakes."""
    try:
        secret = read_secret("$WEBHOOK_SECRET", environ)
    except ValueError:
        secret = None
    try:
        path = Path(read_secret("$SOURCES_FILE", environ))
    except ValueError:
        path = Settings.sources_file
    return path, secret
