"""Mistakes between settings that are valid by themselves."""

import pytest

from webhook_app.access import Access, Provider
from webhook_app.configuration import access_of, read_configuration
from worker.errors import SettingsError

NEEDED = {"LIVEDESK_API_KEY": "k", "LIVEDESK_API_SECRET": "s", "LIVEDESK_INBOX_ID": "1", "WEBHOOK_SECRET": "w" * 24}
OIDC = {"OIDC_ISSUER": "https://login.example", "OIDC_CLIENT_ID": "us", "OIDC_CLIENT_SECRET": "secret"}
TOGETHER = "OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET: set all three or none."


def access(**environ: str) -> Access:
    settings, _ = read_configuration({**NEEDED, **environ})
    return access_of(settings)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"DASHBOARD_PASSWORD": "the same for both", "DASHBOARD_VIEWER_PASSWORD": "the same for both"},
            "DASHBOARD_PASSWORD and DASHBOARD_VIEWER_PASSWORD must differ.",
        ),
        ({"OIDC_ISSUER": "https://login.example", "OIDC_VIEWERS": "staff"}, TOGETHER),
        ({"OIDC_CLIENT_SECRET": "secret"}, TOGETHER),
        (OIDC, "OIDC_ISSUER is set, but nobody can sign in: set OIDC_OPERATORS or OIDC_VIEWERS."),
    ],
)
def test_contradictory_access_settings_are_mistakes(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_configuration({**NEEDED, **environ})
    assert caught.value.problems == [sentence]


def test_without_access_settings_the_dashboard_is_closed() -> None:
    assert access() == Access()
    assert not access().is_open


def test_each_kind_of_access_opens_the_dashboard() -> None:
    assert access(DASHBOARD_PASSWORD="a long password") == Access(operator_password="a long password")
    assert access(DASHBOARD_VIEWER_PASSWORD="a long password").is_open
    assert access(**OIDC, OIDC_OPERATORS="Ada@example.com", OIDC_VIEWERS="staff", TRUSTED_PROXIES="2") == Access(
        provider=Provider(
            issuer="https://login.example",
            client_id="us",
            client_secret="secret",
            operators=("ada@example.com",),
            viewers=("staff",),
        ),
        proxies=2,
    )
    assert access(**OIDC, OIDC_OPERATORS="ada@example.com").is_open
