"""Certificates of private authorities, over real TLS."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.livedesk.servers import FOREVER_S, Authority, Server, answer, read_request, serving
from worker.errors import LiveDeskError, NotSent
from worker.livedesk.client import LiveDesk
from worker.livedesk.transport import tls_context
from worker.model import Contact
from worker.settings import load_settings
from worker.tasks import join_livedesk

ADA = Contact("ada", 1)
MADE = answer(200, b'{"payload": {"contact": {"id": 7, "identifier": "ada"}}}')


def accept(connection: socket.socket, server: Server) -> None:
    read_request(connection)
    connection.sendall(MADE)
    server.stopped.wait(FOREVER_S)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path).create()


def folder_of(authority: Authority) -> Path:
    """The authority's certificate in a folder, under the name that OpenSSL looks for."""
    folder = authority.folder / "folder"
    folder.mkdir()
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(authority.path)]
    name = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    shutil.copy(authority.path, folder / f"{name}.0")
    return folder


@pytest.mark.parametrize("name", ["LIVEDESK_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("place", [lambda authority: authority.path, folder_of], ids=["file", "folder"])
def test_a_private_authority_is_trusted_where_it_is_named(
    name: str, place: Callable[[Authority], Path], authority: Authority
) -> None:
    with serving(accept, authority.context()) as server:
        environ = {"LIVEDESK_API_KEY": "key", "LIVEDESK_API_SECRET": "secret", "LIVEDESK_BASE_URL": server.tls_url}
        livedesk = join_livedesk(load_settings({**environ, name: str(place(authority)), "NO_PROXY": "*"}))
        assert livedesk.create(ADA).contact_id == "7"
        with pytest.raises(LiveDeskError) as caught:
            join_livedesk(load_settings(environ)).create(ADA)
    assert (type(caught.value), caught.value.cause.slug) == (NotSent, "certificate_refused")


def test_a_certificate_for_another_host_is_refused(authority: Authority) -> None:
    with serving(accept, authority.context("127.0.0.2")) as server, pytest.raises(LiveDeskError) as caught:
        LiveDesk(server.tls_url, "key", "secret", ca_bundle=authority.path).create(ADA)
    assert (type(caught.value), caught.value.cause.slug) == (NotSent, "certificate_refused")


def test_another_authority_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").create()
    with serving(accept, other.context()) as server, pytest.raises(LiveDeskError) as caught:
        LiveDesk(server.tls_url, "key", "secret", ca_bundle=authority.path).create(ADA)
    assert (type(caught.value), caught.value.cause.slug) == (NotSent, "certificate_refused")


def test_the_public_authorities_are_read_once(authority: Authority) -> None:
    assert tls_context(None) is tls_context(None) is not tls_context(authority.path)
