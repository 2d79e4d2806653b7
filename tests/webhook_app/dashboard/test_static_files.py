"""Styles and scripts: small, cached, and third-party files unmodified."""

import gzip
import json
import re
from hashlib import sha256

import pytest
import redis
from flask.testing import FlaskClient

from tests.world import make_store
from webhook_app.access import Access
from webhook_app.app import create_app
from webhook_app.dashboard.static_files import FILES, FOLDER
from webhook_app.parts import Parts

VENDOR = FOLDER / "vendor"
#: Most bytes that opening the dashboard for the first time may take, compressed.
MOST_AT_FIRST = 60 * 1024
REFERENCE = re.compile(r'(?:src|href)="(/dashboard/static/[^"]+)"')


@pytest.fixture
def door(client: redis.Redis) -> FlaskClient:
    store = make_store(client, lease_ms=1)
    access = Access(operator_password="an-operator-password")
    door = create_app(Parts(store=store, sources={}, access=access)).test_client()
    found = re.search(r'name="csrf" value="([^"]+)"', door.get("/dashboard/sign-in").text)
    assert found
    door.post("/dashboard/sign-in", data={"csrf": found[1], "password": "an-operator-password"})
    return door


def test_vendored_files_are_unmodified() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    files = {path.name for path in VENDOR.iterdir()} - {"manifest.json"}
    assert files == manifest.keys()
    for name, entry in manifest.items():
        assert sha256((VENDOR / name).read_bytes()).hexdigest() == entry["sha256"], name
        assert entry["licence"]
    assert f'version:"{manifest["htmx.min.js"]["version"]}"' in (VENDOR / "htmx.min.js").read_text()


def test_the_first_load_is_small(door: FlaskClient) -> None:
    page = door.get("/dashboard/")
    assert page.status_code == 200
    addresses = REFERENCE.findall(page.text)
    assert len(addresses) == 4
    answers = [door.get(address, headers={"Accept-Encoding": "gzip, br"}) for address in addresses]
    assert {(answer.status_code, answer.headers["Content-Encoding"]) for answer in answers} == {(200, "gzip")}
    assert sum(len(answer.data) for answer in answers) + len(gzip.compress(page.data)) < MOST_AT_FIRST
    assert len(FILES["app.css"].zipped) < 7_000
    assert len(FILES["app.js"].zipped) < 4_000


def test_a_file_is_cached_until_it_changes(door: FlaskClient) -> None:
    address = f"/dashboard/static/{FILES['app.css'].digest}/app.css"
    plain, zipped = door.get(address), door.get(address, headers={"Accept-Encoding": "gzip"})
    assert plain.data == gzip.decompress(zipped.data) == (FOLDER / "app.css").read_bytes()
    for answer in (plain, zipped):
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.content_type == "text/css; charset=utf-8"
        assert answer.headers["Vary"] == "Accept-Encoding"
    assert door.get("/dashboard/static/000000000000/app.css").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["nothing.css", "../access.py", "..%2faccess.py", "vendor/../../access.py", "/etc/passwd", "vendor", ""]
)
def test_other_paths_are_not_found(door: FlaskClient, name: str) -> None:
    assert door.get(f"/dashboard/static/{FILES['app.css'].digest}/{name}").status_code == 404


def test_templates_have_no_inline_code_or_style_and_no_safe_filter() -> None:
    for path in (FOLDER.parent / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\|\s*safe|Markup|autoescape|<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", text), path
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", text)), path


def test_dark_changes_colours_only() -> None:
    """What fits the screen in light does so in dark."""
    style = (FOLDER / "app.css").read_text()
    assert style.count("prefers-color-scheme") == 1
    dark = re.search(r"@media \(prefers-color-scheme: dark\) \{\s+:root \{([^}]*)\}\s+\}", style)
    assert dark
    declared = re.findall(r"--([\w-]+): (.*);", dark[1])
    assert len(declared) == dark[1].count(";")
    for name, value in declared:
        assert name == "shadow" or re.fullmatch("#[0-9a-f]{6}", value), (name, value)
