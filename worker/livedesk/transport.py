"""Sends one request to LiveDesk: returns its answer, or raises how far it got.

The keys of senders are fetched with it, too. Nothing is retried, no redirect is followed, and nothing is read from the
environment.

``requests`` prepares a request once, and its adapter chooses the connections; urllib3 sends it, each time with another
body. A session of requests would prepare each request anew, look for cookies and redirects, and read the body of a
redirect without a limit. That takes longer than everything else that an attempt does.
"""

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError
from urllib3.util.ssl_ import create_urllib3_context

from worker import causes
from worker.causes import Cause
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, NotSent
from worker.livedesk.answers import Answer
from worker.livedesk.bodies import MAX_ANSWER_BYTES, decode
from worker.livedesk.connections import (
    AnswerTooLong,
    ClosesIdle,
    Connection,
    CurrentRequest,
    Hop,
    Resolver,
    TlsConnection,
    TlsSocket,
    current,
)

#: Connections that one process keeps open.
POOL_SIZE = 64
#: Prepared requests that are kept: one for creates, others for the contacts changed last.
KEPT_REQUESTS = 16
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "keep-alive",
    "Content-Type": "application/json",
    "User-Agent": "livedesk-sync",
}
#: How a body is read: at most so many pieces of at most so many bytes. A chunk of HTTP is a piece at least.
PIECE_BYTES, MAX_PIECES = 65_536, 20_000


class _Prepared(NamedTuple):
    """A request but for its body, and the connections that may send it.

    ``target`` is what its first line names: a path, or for a proxy the whole URL.
    """

    pool: Any
    target: str
    headers: dict[str, Any]


class Transport:
    """The requests of a process, which threads may share.

    ``ca_bundle``: a file or folder of the authorities to trust instead of the public ones. ``proxies`` are by scheme.
    """

    def __init__(
        self,
        auth: AuthBase | None,
        *,
        connect_timeout_s: float,
        answer_timeout_s: float,
        proxies: Mapping[str, str],
        ca_bundle: Path | None,
        resolve: Resolver,
    ) -> None:
        self.connect_timeout_s = connect_timeout_s
        self.answer_timeout_s = answer_timeout_s
        self.resolve = resolve
        self.timeout = urllib3.Timeout(connect=connect_timeout_s, read=answer_timeout_s)
        self.auth = auth
        self.proxies = dict(proxies)
        self.adapter = _Adapter(tls_context(ca_bundle))
        self._prepared = lru_cache(maxsize=KEPT_REQUESTS)(self._prepare)

    @property
    def request_limit_s(self) -> float:
        """The longest time that one request can take."""
        return self.connect_timeout_s + self.answer_timeout_s

    def send(self, method: str, url: str, *, params: Mapping[str, str] | None, body: bytes | None) -> Answer:
        """Send a request, and read its answer.

        Raises:
            NotSent: no byte of the request went out.
            AnswerUnknown: bytes of it may have gone out, and there is no whole answer in time.
            Misconfigured: the address is not one.
        """
        progress = CurrentRequest(time.monotonic() + self.connect_timeout_s, self.answer_timeout_s, self.resolve)
        current.request = progress
        try:
            prepared = self._prepare(method, url, params) if params else self._prepared(method, url)
            response = self._open(method, prepared, body)
            try:
                raw = _read(response)
            finally:
                response.close()
                response.release_conn()
        except LocationValueError as error:  # an invalid host name; requests does not catch this error
            raise Misconfigured(causes.ADDRESS_INVALID) from error
        except (requests.RequestException, HTTPError, OSError, http.client.HTTPException) as error:
            raise _translated(error, progress) from error
        text = None if raw is None else decode(raw, response.headers)
        return Answer(response.status, response.headers, text or "", is_complete=text is not None)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._prepared.cache_clear()
        self.adapter.close()

    def _prepare(self, method: str, url: str, params: Mapping[str, str] | None = None) -> _Prepared:
        request = requests.Request(method, url, headers=HEADERS, params=params, auth=self.auth).prepare()
        sent_to = request.url or ""
        if not sent_to.startswith(("https://", "http://")):
            raise requests.exceptions.InvalidSchema(f"No adapter for {url!r}")
        pool = self.adapter.get_connection_with_tls_context(request, True, self.proxies)
        self.adapter.cert_verify(pool, sent_to, True, None)  # type: ignore[no-untyped-call]
        return _Prepared(pool, self.adapter.request_url(request, self.proxies), dict(request.headers))

    def _open(self, method: str, prepared: _Prepared, body: bytes | None) -> urllib3.BaseHTTPResponse:
        length = {} if body is None else {"Content-Length": str(len(body))}
        response: urllib3.BaseHTTPResponse = prepared.pool.urlopen(
            method,
            prepared.target,
            body=body,
            headers=prepared.headers | length,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=self.adapter.max_retries,
            timeout=self.timeout,
        )
        return response


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts these authorities.

    By default these are the public ones, as with ``requests``.

    Raises:
        OSError: the file or folder cannot be read, or has no certificate.
    """
    if ca_bundle is None:
        return _public_context()
    context = _context()
    if ca_bundle.is_dir():
        context.load_verify_locations(capath=ca_bundle)
    else:
        context.load_verify_locations(cafile=ca_bundle)
    return context


@cache
def _public_context() -> ssl.SSLContext:
    """Return the one context that trusts the public authorities.

    Reading these takes 30 ms.
    """
    context = _context()
    context.load_verify_locations(cafile=certifi.where())
    return context


def _context() -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.sslsocket_class = TlsSocket
    return context


class _HttpPool(ClosesIdle, HTTPConnectionPool):
    ConnectionCls = Connection


class _HttpsPool(ClosesIdle, HTTPSConnectionPool):
    ConnectionCls = TlsConnection


class _Adapter(HTTPAdapter):
    """Connects with our connections and our TLS context, directly and through proxies."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(pool_connections=2, pool_maxsize=POOL_SIZE, max_retries=urllib3.Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self.context)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> urllib3.ProxyManager:
        contexts = {"ssl_context": self.context}
        if proxy.lower().startswith("socks"):
            from worker.livedesk import socks  # needs PySocks, which is optional

            pools: Any = socks.POOLS
        else:
            contexts["proxy_ssl_context"] = self.context
            pools = {"http": _HttpPool, "https": _HttpsPool}
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **kwargs, **contexts)
        manager.pool_classes_by_scheme = pools
        return manager


def _read(raw: urllib3.BaseHTTPResponse) -> bytes | None:
    """Return the body as it was sent, or ``None`` if it is cut off or too long.

    Raises:
        TimeoutError: it was not complete in time.
    """
    pieces, size = [], 0
    try:
        while piece := raw.read1(PIECE_BYTES, decode_content=False):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES or len(pieces) > MAX_PIECES:
                return None
    except (HTTPError, OSError) as error:
        if _timed_out(error):
            raise
        return None
    return b"".join(pieces)


def _translated(error: Exception, progress: CurrentRequest) -> LiveDeskError:
    """Return our error: how far the request came says what the library's means."""
    wrapped = list(_wrapped(error))
    if any(isinstance(each, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema) for each in wrapped):
        return Misconfigured(causes.ADDRESS_INVALID)
    if progress.hop is not Hop.SENT:
        return NotSent(_cause_before(progress, wrapped), status=progress.status)
    if _timed_out(error):
        return AnswerUnknown(causes.ANSWER_TIMEOUT, status=progress.status)
    if any(_is_malformed(each) for each in wrapped):
        return AnswerUnknown(causes.UNREADABLE_ANSWER, status=progress.status)
    return AnswerUnknown(causes.CONNECTION_LOST)


def _cause_before(progress: CurrentRequest, errors: list[BaseException]) -> Cause:
    """Return why the request was not sent."""
    if progress.via_proxy and progress.hop in (Hop.NAME, Hop.CONNECTION, Hop.PROXY_TLS):
        return causes.PROXY_UNREACHABLE
    if progress.hop is Hop.NAME:
        return causes.NAME_NOT_RESOLVED
    if any(isinstance(each, TimeoutError) for each in errors):
        return causes.CONNECT_TIMEOUT
    if progress.hop is Hop.CONNECTION:
        return causes.CONNECT_FAILED
    if progress.hop is Hop.TUNNEL:
        is_refused = progress.status is not None and 300 <= progress.status < 500
        return causes.PROXY_REFUSED if is_refused else causes.PROXY_FAILED
    is_untrusted = any(isinstance(each, ssl.SSLCertVerificationError) for each in errors)
    return causes.CERTIFICATE_REFUSED if is_untrusted else causes.TLS_FAILED


def _timed_out(error: BaseException) -> bool:
    return any(isinstance(each, TimeoutError) for each in _wrapped(error))


def _is_malformed(error: BaseException) -> bool:
    """Whether bytes came that are no answer of HTTP, or too many."""
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return False
    return isinstance(error, AnswerTooLong | http.client.HTTPException)


def _wrapped(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and everything that it wraps, such as urllib3's ``reason``."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        found = todo.pop()
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        todo += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
