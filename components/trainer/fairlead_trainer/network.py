"""Network helpers: find an address's interface or a free port, and bind a server to an address."""

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


def find_port(address: str) -> int:
    """Return a TCP port that is free at an IPv4 address now; raise OSError if the address is not local."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def bind_without_lookup(server: HTTPServer) -> None:
    """Bind an HTTP server without resolving its own name, which is slow where no DNS server answers."""
    socketserver.TCPServer.server_bind(server)
    server.server_name, server.server_port = str(server.server_address[0]), server.server_address[1]
