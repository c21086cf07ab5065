"""Network helpers: find an address's interface, reserve a port, and bind a server to an address."""

import fcntl
import ipaddress
import socket
import socketserver
import struct
from http.server import HTTPServer

_SIOCGIFADDR = 0x8915


def find_interface(address: str) -> str:
    """Return the interface with an IPv4 address, `lo` for 127.x; raise OSError if there is none."""
    if ipaddress.ip_address(address).is_loopback:
        return "lo"
    names = [name for _, name in socket.if_nameindex()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for name in names:
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:
                continue  # An interface without an IPv4 address.
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    raise OSError(f"POD_IP: got {address}, expected the IPv4 address of one of {', '.join(names)}")


class ReservedPort:
    """A TCP port that no other program gets while it is reserved, neither as a server's nor as a connection's own.

    A server that sets SO_REUSEADDR, as torch's store does, can listen at it: Linux lets sockets with this option share
    a port until one of them listens. It is reserved at all addresses, because the store binds to all of them.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def renew(self) -> int:
        """Return a free port, and reserve it instead of the one before."""
        fresh = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        fresh.bind(("0.0.0.0", 0))
        self.release()
        self._socket = fresh
        return int(fresh.getsockname()[1])

    def release(self) -> None:
        """Free the port."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def bind_without_lookup(server: HTTPServer) -> None:
    """Bind an HTTP server without resolving its own name, which is slow where no DNS server answers."""
    socketserver.TCPServer.server_bind(server)
    server.server_name, server.server_port = str(server.server_address[0]), server.server_address[1]
