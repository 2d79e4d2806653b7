"""What ``make run`` prints: what runs where, and how to use it."""

from contextlib import suppress
from pathlib import Path

from tests.rig.local import Local


def say(text: str) -> None:
    """Print; ignore that the terminal may be closed."""
    with suppress(OSError):
        print(text, flush=True)  # noqa: T201  # the one place that does


def welcome(local: Local) -> str:
    """Return how to use what is running."""
    stack, secrets = local.stack, local.generated
    lines = ["", "LiveDesk Sync is running. Press Ctrl-C to stop everything.", ""]
    contact = f"{stack.url}/contacts/ada-1"
    if "WEBHOOK_SECRET" in secrets:
        lines += ["Send a signup:", "", _send_command(stack.url, secrets["WEBHOOK_SECRET"]), ""]
    else:
        contact = f"'{stack.url}/contacts/<identifier>'"
        lines += [f"Send signups to {stack.url}/webhooks/<source>, signed as in your sources file. Send a test:", ""]
        lines += [f"  {_flask(local)} send-test {local.sources[0]}", ""]
    if "API_TOKEN" in secrets:
        token = secrets["API_TOKEN"]
        lines += ["See the contact:", "", f"  curl {contact} -H 'Authorization: Bearer {token}'", ""]
    livedesk = "the real one, with your API key"
    if stack.stand_in is not None:
        livedesk = f"a stand-in in memory; its contacts: {stack.livedesk_url}/_control/contacts"
    password = secrets.get("DASHBOARD_PASSWORD")
    lines += [
        f"Dashboard  {stack.url}/dashboard, {f'password {password}' if password else 'with your password'}",
        f"LiveDesk   {livedesk}",
        f"Redis      {stack.redis_url + ', embedded Valkey' if stack.valkey is not None else 'yours'}",
        *(f"           {problem}" for problem in local.redis_problems),
        f"Data       {_relative(stack.folder)}",
        f"Commands   {_flask(local)} --help",
        "",
    ]
    return "\n".join(lines)


def _send_command(url: str, secret: str) -> str:
    return (
        f"  curl {url}/webhooks/signup -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' \\\n"
        """    -d '{"identifier": "ada-1", "name": "Ada Lovelace", "email": "ada@example.com"}'"""
    )


def _flask(local: Local) -> str:
    return f".venv/bin/flask --env-file {_relative(local.env_file)}"


def _relative(path: Path) -> str:
    """Return the path relative to the current folder if it is below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
