"""``flask send-test``: send a signed sample to the receiver, and follow it."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from webhook_app.cli.commands import cli
from webhook_app.cli.output import printable
from webhook_app.parts import current_parts
from webhook_app.sources import Source
from webhook_app.sources.delivery import Delivery
from webhook_app.sources.sample import NoSample, Sample, read_sample, sample_of, unique
from webhook_app.sources.send import Unsignable, check_signable, sign, with_body
from worker.model import Outcome, State
from worker.outbound import is_public
from worker.store.record import ContactRecord
from worker.store.store import Store

#: How long to wait for the receiver, and for the contact to be closed; and between two looks at it. Seconds.
ANSWER_S, FOLLOW_S, LOOK_EVERY_S = 10.0, 30.0, 0.1
#: Bytes of an answer that are read.
MAX_ANSWER = 64 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class CannotSign(click.ClickException):
    exit_code = 2


@cli.command("send-test")
@click.argument("source")
@click.option(
    "--port", envvar="PORT", default=8000, show_default=True, show_envvar=True, help="The receiver's local port."
)
@click.option("--url", help="The receiver's URL, if it is not on this machine.")
@click.option("--identifier", help="The contact's identifier; by default a new one.")
@click.option("--event", help="The event whose sample is sent; by default the signup.")
@click.option("--body", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The request body.")
def send_test(
    source: str, port: int, url: str | None, identifier: str | None, event: str | None, file: Path | None
) -> None:
    """Send a sample delivery of SOURCE and follow it to the contact.

    It is signed as the sender would sign it, and creates a real contact in LiveDesk. To change or delete that, send
    another --event with its --identifier. Exit code: 0 LiveDesk has it, 1 it does not, 2 it cannot be sent.
    """
    parts = current_parts()
    if source not in parts.sources:
        raise click.UsageError(f"There is no source {source}. The sources are: {', '.join(parts.sources)}.")
    url = url or f"http://127.0.0.1:{port}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise click.UsageError("--url must start with http:// or https://")
    if urlsplit(url).scheme == "http" and is_public(urlsplit(url).hostname or ""):
        raise click.UsageError("--url must start with https://: its host is public, and a delivery can carry a secret.")
    if event is not None and parts.sources[source].preset is None:
        raise click.UsageError(f"The source {source} has no preset, so there are no samples of events. Use --body.")
    signed_url = parts.public_url or url.rstrip("/")
    delivery = _make_delivery(parts.sources[source], signed_url, identifier, event, file)
    answer = _print_answer(*_post(delivery, url.rstrip("/") + delivery.url.removeprefix(signed_url)))
    _follow(parts.store, str(answer["identifier"]))


def _make_delivery(source: Source, url: str, identifier: str | None, event: str | None, file: Path | None) -> Delivery:
    try:
        check_signable(source)
        sample = _make_sample(source, identifier, event, file)
        return sign(source, sample, f"{url}/webhooks/{source.name}", time.time())
    except Unsignable as error:
        raise CannotSign(f"A test delivery for {source.name} cannot be signed here: {error}.") from error
    except NoSample as error:
        raise CannotSign(f"{error}.") from error


def _make_sample(source: Source, identifier: str | None, event: str | None, file: Path | None) -> Sample:
    if file is not None:
        content_type = "application/json" if "json" in source.reader.formats else None
        sample = with_body(Sample({}, {"Content-Type": content_type} if content_type else {}), file.read_bytes())
        if identifier is None:
            return sample
    elif event is not None and source.preset is not None:
        sample = read_sample(source.preset, event)
    else:
        sample = sample_of(source)
    changed = unique(source, sample, identifier)
    if changed is None:
        click.echo("The sample is sent unchanged: the identifier in it cannot be replaced.")
    return changed or sample


def _post(delivery: Delivery, url: str) -> tuple[int, bytes]:
    """Send a delivery to ``url``, which a proxy may change to the one that is signed."""
    headers = dict(delivery.headers)  # type: ignore[call-overload]  # sign() gives headers that can be iterated
    request = urllib.request.Request(url, delivery.body, headers, method="POST")  # noqa: S310 - http, https
    is_here = urlsplit(url).hostname in LOOPBACK
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_here else []))
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            return answer.status, answer.read(MAX_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(MAX_ANSWER)
    except (urllib.error.URLError, OSError) as error:
        host = urlsplit(url).netloc
        raise click.ClickException(f"No receiver answers at {host}: {getattr(error, 'reason', error)}") from error


def _print_answer(status: int, body: bytes) -> dict[str, Any]:
    """Print and return the answer of a receiver that accepted the delivery."""
    text = body.decode(errors="replace")
    click.echo(f"{status} {printable(text)}")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status != 200 or not isinstance(answer, dict):
        raise click.ClickException("The receiver rejected the delivery.")
    if answer.get("reason") == "deletion":
        raise click.ClickException('The source ignores deletions: its on_delete is "ignore".')
    if not answer.get("identifier"):
        raise click.ClickException(f"The delivery has no usable contact: {printable(str(answer.get('status')))}.")
    return answer


def _follow(store: Store, identifier: str) -> None:
    """Print each state until the contact is closed; exit with 1 if that failed."""
    printed = ""
    give_up_at = time.monotonic() + FOLLOW_S
    while True:
        record = store.contacts.find(identifier)
        if record is not None and (line := _describe(record)) != printed:
            printed = line
            click.echo(line)
        if record is not None and not record.state.is_open:
            break
        if time.monotonic() > give_up_at:
            raise click.ClickException(f"The contact is still open after {FOLLOW_S:.0f} seconds. Is a worker running?")
        time.sleep(LOOK_EVERY_S)
    if record.state not in (State.CREATED, State.DELETED):
        raise SystemExit(1)


def _describe(record: ContactRecord) -> str:
    details = [
        record.cause,
        record.outcome if record.outcome is not Outcome.CREATED else None,
        f"contact {record.contact_id}" if record.contact_id else None,
        f"conflicts with contact {record.owner_id}" if record.owner_id else None,
    ]
    text = ", ".join(detail for detail in details if detail)
    return f"{record.state}{f': {text}' if text else ''}"
