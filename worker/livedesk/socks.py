"""Connections through a SOCKS proxy; this module needs PySocks, an option."""

import socket

from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.contrib.socks import SOCKSConnection

from worker.livedesk.connections import ClosesIdle, Hop, Socket, TrackedConnection, current


class SocksConnection(TrackedConnection, SOCKSConnection):
    """A connection for which PySocks resolves and connects."""

    def _new_conn(self) -> socket.socket:
        request = current.request
        request.via_proxy, request.hop = True, Hop.CONNECTION
        self.timeout = request.time_left()
        connected = super()._new_conn()
        request.hop = Hop.TLS
        return Socket(fileno=connected.detach())


class SocksTlsConnection(SocksConnection, HTTPSConnection):
    """The same with TLS."""


class _HttpPool(ClosesIdle, HTTPConnectionPool):
    ConnectionCls = SocksConnection


class _HttpsPool(ClosesIdle, HTTPSConnectionPool):
    ConnectionCls = SocksTlsConnection


POOLS = {"http": _HttpPool, "https": _HttpsPool}
