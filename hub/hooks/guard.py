"""Where a webhook may go: public addresses, over TLS. The name is resolved here, and what was looked at is connected to.

Else whoever may set an endpoint could reach what only this machine can: the cloud's metadata, the database, the printer.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from hub.api import HubError

Resolver = Callable[[str, int], Awaitable[list[str]]]
LONGEST_URL = 2000
_NOWHERE = tuple(
    ipaddress.ip_network(net)
    for net in (
        "0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24",  # the third is Azure's host
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::ffff:0:0/96", "::/96", "fec0::/10", "5f00::/16",
    )
)  # fmt: skip


class Refused(HubError):
    """The address is none that a webhook may go to; the message says why."""


@dataclass(frozen=True)
class Target:
    """host: as written, for TLS and the Host header. address: what it resolved to, and what is connected to."""

    url: str
    host: str
    addresses: tuple[str, ...]


def check_url(url: str, allow_loopback: bool = False) -> SplitResult:
    """What can be said without asking anybody. Raises Refused.

    allow_loopback: for development; this machine may be called, and without TLS.
    """
    if len(url) > LONGEST_URL:
        raise Refused(f"the address is longer than {LONGEST_URL} characters")
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise Refused("the address has characters that none has: write other scripts as xn--, and the rest as %XX")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or ""), parts.port
    except ValueError as exc:
        raise Refused(f"this is no address: {exc}") from exc
    if parts.scheme not in {"http", "https"} or not host:
        raise Refused("the address has to begin with https:// and a host")
    if "@" in parts.netloc:
        raise Refused("the address carries a name or a password: the signature is what proves who calls")
    if parts.fragment or "%" in parts.netloc or port == 0:
        raise Refused("the address has a part that is of no use here (#..., % in the host, port 0)")
    if len(host) > 253 or any(not 0 < len(label) < 64 for label in host.rstrip(".").split(".")):
        raise Refused(f"{host[:80]} is no name of a host")
    literal = _literal(host)
    last = host.rstrip(".").rpartition(".")[2]
    if literal is None and (last.isdigit() or last.startswith("0x")):
        raise Refused(f"{host} is a number written in an odd way")  # 127.1, 0x7f.1, 2130706433, 0177.0.0.1
    is_here = last == "localhost" or (
        literal is not None and literal.is_loopback
    )  # RFC 6761: all its names are this machine
    if parts.scheme == "http" and not (allow_loopback and is_here):
        raise Refused("the address has to begin with https://")
    if is_here and not allow_loopback:
        raise Refused(f"{host} is this machine: a webhook goes nowhere inside")
    if literal is not None:
        _must_be_public(str(literal), allow_loopback)
    return parts


async def resolve(url: str, allow_loopback: bool = False, resolver: Resolver | None = None) -> Target:
    """The addresses to connect to. Raises Refused when any of them is not public, OSError when there is none."""
    parts = check_url(url, allow_loopback)
    host = parts.hostname or ""
    if _literal(host) is not None:
        return Target(url, host, (host,))
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = tuple(dict.fromkeys(await (resolver or _ask)(host, port)))
    if not found:
        raise OSError(f"{host} has no address")
    for address in found:
        _must_be_public(address, allow_loopback)
    return Target(url, host, found)


async def _ask(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _must_be_public(address: str, allow_loopback: bool) -> None:
    try:
        ip = ipaddress.ip_address(address)  # a zone (fe80::1%eth0) is never public, and is refused below
    except ValueError as exc:
        raise Refused(f"{address} is no address") from exc
    if allow_loopback and ip.is_loopback:
        return
    if (
        not ip.is_global
        or ip.is_multicast
        or ip.is_reserved
        or any(ip in net for net in _NOWHERE if net.version == ip.version)
    ):
        raise Refused(f"{ip} is not a public address: a webhook goes nowhere inside")
