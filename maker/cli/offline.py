"""No network in this process from now on: what decides a recorded run again must need none.

An audit hook cannot be taken away, by nobody: only a command that ends with its process goes offline.
"""

from __future__ import annotations

import sys

from maker.errors import PluginError

_NETWORK = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"}
)


def go_offline() -> None:
    """Whoever reaches for the network from here on gets a PluginError."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _NETWORK:
        raise PluginError(
            f"{event} is refused: a run is decided again offline, from its samples alone; "
            "prompt, parse, check and advance must be pure"
        )
