"""``REDIS_URL``: what it may say, and that every mistake in it is a sentence."""

from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.rig.tls import Authority
from worker.store.address import DRIVER, Kind, parse_address

SPECIAL = "p@:/#?%+ ä=&;\U0001f600"
FULL = "redis+sentinel://user:p%40ss@one:1,[::1]:2,three/the-service/4?sentinel_username=watch&sentinel_password=other"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def test_a_host() -> None:
    address = parse_address("redis://user:pass@example.com:6380/5")
    assert (address.kind, address.hosts, address.db) == (Kind.HOST, (("example.com", 6380),), 5)
    assert (address.login.username, address.login.password) == ("user", "pass")
    assert address.tls is None


@pytest.mark.parametrize("url", ["redis://one", "redis://one/", "redis://one:6379/0", "REDIS://one:/?db=0"])
def test_what_is_left_out_has_its_default(url: str) -> None:
    address = parse_address(url)
    assert (address.hosts, address.db, address.login.password) == ((("one", 6379),), 0, None)


@pytest.mark.parametrize(
    "template", ["redis://{}@one", "unix://{}@/run/redis.sock", "redis+sentinel://{}@one/s", "redis+cluster://{}@one"]
)
def test_special_characters_in_user_and_password(template: str) -> None:
    encoded = quote(SPECIAL, safe="")
    login = parse_address(template.format(f"{encoded}:{encoded}")).login
    assert (login.username, login.password) == (SPECIAL, SPECIAL)


def test_a_password_without_a_user() -> None:
    login = parse_address("redis://:pass@one").login
    assert (login.username, login.password) == (None, "pass")


def test_a_unix_socket() -> None:
    address = parse_address("unix:///run/my%20redis/100%25.sock?db=6")
    assert (address.kind, address.path, address.db) == (Kind.SOCKET, "/run/my redis/100%.sock", 6)
    assert parse_address("unix:///run/my redis/a@b.sock").path == "/run/my redis/a@b.sock"


def test_sentinels() -> None:
    address = parse_address(FULL)
    assert address.hosts == (("one", 1), ("::1", 2), ("three", 26379))
    assert (address.service, address.db) == ("the-service", 4)
    assert (address.login.username, address.login.password) == ("user", "p@ss")
    assert (address.sentinel_login.username, address.sentinel_login.password) == ("watch", "other")


def test_a_cluster() -> None:
    address = parse_address("rediss+cluster://:pass@one:7000,two/0")
    assert (address.kind, address.hosts) == (Kind.CLUSTER, (("one", 7000), ("two", 6379)))
    assert address.tls == {}


def test_options_of_tls(authority: Authority) -> None:
    certificate, key = authority.issue("client")
    options = f"ssl_ca_certs={authority.path}&ssl_certfile={certificate}&ssl_keyfile={key}"
    assert parse_address(f"rediss://one?{options}").tls == {
        "ssl_ca_certs": str(authority.path),
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(key),
    }


@pytest.mark.parametrize("value", ["none", "CERT_NONE", "required", "CERT_REQUIRED"])
def test_whether_to_verify_is_said_as_redis_py_or_as_celery_does(value: str) -> None:
    tls = parse_address(f"rediss://one?ssl_cert_reqs={value}&ssl_check_hostname=False").tls
    assert tls == {"ssl_cert_reqs": value.lower().removeprefix("cert_"), "ssl_check_hostname": False}


def test_passwords_are_not_in_the_repr_and_not_in_the_label() -> None:
    address = parse_address(FULL)
    for text in (repr(address), address.label):
        assert "p@ss" not in text
        assert "other" not in text


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("redis://u:p@one:1/2", "redis://one:1/2"),
        ("rediss://[::1]", "rediss://[::1]:6379/0"),
        ("unix://u:p@/run/a;b.sock", "unix:///run/a%3Bb.sock"),
        ("redis+sentinel://one,two/service", "sentinel://one:26379/0"),
        ("redis+cluster://one,two", "cluster://one:6379/0"),
    ],
)
def test_the_label_names_the_server(url: str, label: str) -> None:
    assert parse_address(url).label == label


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("one:6379", "must start with redis://"),
        ("http://one", "must start with redis://"),
        ("unixs:///run/redis.sock", "must start with redis://"),
        ("redis://", "must name each host"),
        ("redis:///0", "must name each host"),
        ("redis://:pass@/0", "must name each host"),
        ("redis://host:abc", "must name each host"),
        ("redis://host:70000", "must name each host"),
        ("redis://host:0", "must name each host"),
        ("redis://one:1,two:2", "must name each host"),
        ("redis://a..b", "must name each host"),
        (f"redis://{'a' * 64}", "must name each host"),
        ("redis://::1", "must name each host"),
        ("redis://host/notanumber", "must name the database as a number"),
        ("redis://host/1/2", "must name the database as a number"),
        ("redis://host/-1", "must name the database as a number"),
        ("redis://host/²", "must name the database as a number"),
        ("redis://host?db=x", "must name the database as a number"),
        ("redis://host/1?db=2", "names the database twice"),
        ("redis://my host", "contains a space"),
        ("redis:// host", "contains a space"),
        ("redis://host\n/0", "contains a space"),
        ("redis://:p#w@host", "percent-encode"),
        ("redis://:p/w@host", "percent-encode"),
        ("redis://:p?w@host", "percent-encode"),
        ("redis://:p[w@host", "percent-encode"),
        ("redis://:\udcff@host", "percent-encode"),
        ("redis://:%ff@host", "not UTF-8"),
        ("redis://host?socket_timeout=1", "has an unknown option, or one twice: the options are db"),
        ("redis://host?db=1&db=2", "has an unknown option, or one twice"),
        ("redis://host?db", "of the form ?name=value"),
        ("redis://host?ssl_cert_reqs=none", "use rediss://"),
        ("rediss://host?ssl_ca_cert=x", "the options are db, ssl_ca_certs, "),
        ("rediss://host?ssl_cert_reqs=optional", "must be required or none"),
        ("rediss://host?ssl_check_hostname=maybe", "must be true or false"),
        ("unix://run/redis.sock", "must be unix:///path"),
        ("unix://user:p/w@/run/redis.sock", "must be unix:///path"),
        ("unix:///", "must be unix:///path"),
        ("unix:///run/%00", "control character"),
        ("redis+sentinel://one:1", "must be redis+sentinel://"),
        ("redis+sentinel:///service", "must name each host"),
        ("redis+sentinel://one:1/service/x", "must name the database as a number"),
        ("redis+sentinel://one:1,,two:2/service", "must name each host"),
        ("redis+sentinel://one:1/service?typo=1", "unknown option"),
        ("redis+cluster://one:1/1", "a cluster has only database 0"),
        ("redis+cluster://one:1?sentinel_password=x", "unknown option"),
    ],
)
def test_a_mistake_is_a_sentence(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has|names|contains) ") as caught:
        parse_address(url)
    assert words in str(caught.value)


def test_a_file_that_cannot_be_used_is_a_sentence(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("one")
    other, _ = authority.issue("two")
    text = tmp_path / "text"
    text.write_text("no certificate")
    for options, words in {
        f"ssl_ca_certs={tmp_path / 'missing'}": "ssl_ca_certs that cannot be read (FileNotFoundError)",
        f"ssl_ca_certs={tmp_path}": "ssl_ca_certs that cannot be read (IsADirectoryError)",
        "ssl_ca_certs=": "ssl_ca_certs that cannot be read",
        "ssl_ca_certs=%00": "ssl_ca_certs that cannot be read",
        f"ssl_ca_certs={text}": "ssl_ca_certs that has no certificates in PEM format",
        f"ssl_keyfile={key}": "ssl_keyfile, but not ssl_certfile",
        f"ssl_certfile={certificate}": "not both in PEM format",
        f"ssl_certfile={certificate}&ssl_keyfile={text}": "not both in PEM format",
        f"ssl_certfile={other}&ssl_keyfile={key}": "do not belong together",
        f"ssl_certfile={certificate}&ssl_keyfile={_encrypted(tmp_path)}": "without a passphrase",
    }.items():
        with pytest.raises(ValueError, match=r"^(names|has) ") as caught:
            parse_address(f"rediss://:hunter2@one?{options}")
        assert words in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def _encrypted(folder: Path) -> Path:
    path = folder / "encrypted.pem"
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )
    return path


@given(
    st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "rediss+cluster"]),
    st.text() | st.text("@:/#?%[]&= .,a1", max_size=20),
)
def test_any_text_is_an_address_or_a_sentence(scheme: str, text: str) -> None:
    sentence = _sentence_about(f"{scheme}://{text}")
    assert not sentence or sentence.startswith(("must ", "has ", "names ", "contains "))


def _sentence_about(url: str) -> str:
    try:
        address = parse_address(url)
    except ValueError as error:
        return str(error)
    address.pool().make_connection()
    return ""


@pytest.mark.parametrize("url", ["redis://host/0", "rediss://host/0", "unix:///tmp/redis.sock"])
def test_the_version_of_redis_py_is_looked_up_once(url: str) -> None:
    pool = parse_address(url).pool()
    assert [vars(pool.make_connection())["driver_info"] is DRIVER for _ in range(2)] == [True, True]
