"""TLS to Redis: the options of an address, and sentences about what failed."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from redis import exceptions
from redis.connection import SSLConnection

#: The options of ``rediss://``: redis-py's and Celery's names for them.
OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
#: ``CERT_NONE`` and ``CERT_REQUIRED`` are how Celery's documentation writes these.
CERT_REQS = {"none": "none", "cert_none": "none", "required": "required", "cert_required": "required"}
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
#: What OpenSSL calls a failure, and what it means here.
FAILURES = {
    "EOF": "it closed the connection; it may require a client certificate (ssl_certfile)",
    "WRONG_VERSION_NUMBER": "its port does not speak TLS (rediss:// is for one that does)",
    "RECORD_LAYER_FAILURE": "its port does not speak TLS (rediss:// is for one that does)",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it requires a client certificate (ssl_certfile and ssl_keyfile)",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refused the handshake; it may require a client certificate (ssl_certfile)",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust our client certificate (ssl_certfile)",
    "TLSV1_ALERT_DECRYPT_ERROR": "it does not trust our client certificate (ssl_certfile)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our client certificate (ssl_certfile)",
}


class TlsError(exceptions.ConnectionError):
    """No TLS connection was made. The text is for people, and names the reason."""


class TlsTimeoutError(exceptions.TimeoutError):
    """The TLS handshake timed out. The text is for people."""


class TlsConnection(SSLConnection):
    """A connection that says why TLS failed; it sends nothing before it has TLS."""

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        try:
            super().connect_check_health(*args, **options)
        except exceptions.TimeoutError as error:
            if "handshake" not in str(error.__context__):
                raise
            raise TlsTimeoutError(
                "no TLS connection to Redis: it did not answer; its port may not speak TLS"
            ) from error
        except exceptions.ConnectionError as error:
            sentence = _explain(error)
            if sentence is None:
                raise
            raise TlsError(sentence) from error


def _explain(error: BaseException | None) -> str | None:
    """Return a sentence about the TLS failure that led to this error, if one did."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of Redis is not trusted: {error.verify_message.rstrip('.')}"
    reason = "EOF" if isinstance(error, ssl.SSLEOFError) else error.reason or "unknown"
    return f"no TLS connection to Redis: {FAILURES.get(reason, reason.lower().replace('_', ' '))}"


def read_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Return redis-py's options; its defaults verify certificate and host name.

    Raises:
        ValueError: an option has a wrong value, or names a file that cannot be used. The text does not repeat it.
    """
    read: dict[str, Any] = {name: options[name] for name in OPTIONS if name in options}
    if "ssl_cert_reqs" in read:
        read["ssl_cert_reqs"] = _one_of("ssl_cert_reqs", read["ssl_cert_reqs"], CERT_REQS, "required or none")
    if "ssl_check_hostname" in read:
        read["ssl_check_hostname"] = _one_of(
            "ssl_check_hostname", read["ssl_check_hostname"], BOOLEANS, "true or false"
        )
    _check_files(read)
    return read


def _one_of(name: str, text: str, values: Mapping[str, Any], words: str) -> Any:
    if text.lower() not in values:
        raise ValueError(f"has a wrong {name}: it must be {words}")
    return values[text.lower()]


def _check_files(options: Mapping[str, Any]) -> None:
    """Load the files as a connection will, so that a mistake is reported at start."""
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        if name in options:
            try:
                Path(options[name]).read_bytes()
            except (OSError, ValueError) as error:
                raise ValueError(f"names a file in {name} that cannot be read ({type(error).__name__})") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "ssl_ca_certs" in options:
        try:
            context.load_verify_locations(options["ssl_ca_certs"])
        except ssl.SSLError:
            raise ValueError("names a file in ssl_ca_certs that has no certificates in PEM format") from None
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("has ssl_keyfile, but not ssl_certfile")
    if "ssl_certfile" in options:
        try:
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"), _refuse_encrypted)
        except ssl.SSLError as error:
            wrong = "do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "are not both in PEM format"
            raise ValueError(f"names a certificate (ssl_certfile) and a key (ssl_keyfile) that {wrong}") from None


def _refuse_encrypted() -> NoReturn:
    raise ValueError("names an encrypted key in ssl_keyfile: store it without a passphrase")
