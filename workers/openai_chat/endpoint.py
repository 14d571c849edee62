"""Where requests go and with which key: the address checked, the key read, the proxy found.

It sends nothing. Invariant: the key lives in the environment or its file, and in the client alone, and
goes to the one host that was named. Addresses are judged as written; a name that resolves to a link-local
address is not caught. Read next: `clients.py`.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import httpx2

from maker.errors import BlockedError, UsageError

OFFICIAL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
METADATA = frozenset({"metadata", "metadata.google.internal", "metadata.goog"})
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(address) for address in ("100.100.100.200", "fd00:ec2::254")
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that passed the checks."""

    url: str
    host: str
    """Host and port, for people."""
    loopback: bool


def endpoint(base_url: str | None, allow_http: bool) -> Endpoint:
    """Check an address: http(s), no password in it, no metadata service, no key in the clear."""
    text = base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL
    url = _parsed(text)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise UsageError("base_url is not an http or https address such as http://127.0.0.1:8080/v1")
    if url.userinfo or url.query or url.fragment:
        raise UsageError(f"base_url holds a password, ? or #: give the bare address, the key in {KEY}")
    host = url.host.rstrip(".").lower()
    address = _address(host)
    if host in METADATA or (address and (address.is_link_local or address in METADATA_ADDRESSES)):
        raise UsageError(f"base_url points to {host}, a link-local or metadata address: not allowed")
    loopback = address.is_loopback if address else host.split(".")[-1] == "localhost"
    if url.scheme == "http" and not (loopback or allow_http):
        raise UsageError(
            f"base_url sends prompts and key in the clear to {host}: use https, "
            "or allow it with the model option allow_http=true"
        )
    return Endpoint(text, f"{host}:{url.port}" if url.port else host, loopback)


def _parsed(text: str) -> httpx2.URL | None:
    try:
        return httpx2.URL(text)
    except httpx2.InvalidURL:
        return None


def _address(host: str) -> Address | None:
    """The IP address a host literal stands for, also written as one number or mapped into IPv6."""
    try:
        address: Address = ipaddress.ip_address(host.strip("[]").split("%")[0])
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def proxy_of(where: Endpoint) -> str | None:
    """What the environment says of a proxy to this endpoint."""
    url = httpx2.URL(where.url)
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if found and not found.startswith(("http://", "https://")):
        raise BlockedError(
            f"the environment names a proxy of scheme {found.partition(':')[0]!r} for {where.host}: expected "
            "http or https; set another one, or NO_PROXY"
        )
    return found


def key_of(where: Endpoint, file: str | None) -> str:
    """The key, from its file or the environment. Raises BlockedError where there is none that can be used."""
    if file is not None:
        return _usable(_in_file(file), f"the key file {file}")
    key = os.environ.get(KEY, "").strip()
    if not key and where.loopback:
        return "no-key-needed"
    if not key:
        raise BlockedError(
            f"{KEY} is not set, and {where.host} is not on this machine: set it (any text will do "
            "where the endpoint asks for none), then run the same command again"
        )
    return _usable(key, KEY)


def _in_file(file: str) -> str:
    try:
        key = Path(file).read_text("utf-8", "replace").strip()
    except OSError as error:
        raise BlockedError(
            f"the key file {file} cannot be read: {error.strerror}; put it on every machine that draws, then "
            "run the same command again"
        ) from None
    if not key:
        raise BlockedError(f"the key file {file} is empty: put the key into it")
    return key


def _usable(key: str, where: str) -> str:
    if not (key.isascii() and key.isprintable()):
        raise BlockedError(f"{where} holds characters that no header can carry: set it again")
    return key
