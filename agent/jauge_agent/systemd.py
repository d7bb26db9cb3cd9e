"""What systemd is told: sd_notify(3), for ``Type=notify`` units with a watchdog."""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends states to the service manager; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._watchdog_us = environment.get("WATCHDOG_USEC", "")

    @property
    def watchdog_s(self) -> float | None:
        """Seconds between signs of life: half of what the unit allows; None without watchdog."""
        if not self._address or not self._watchdog_us.isdigit():
            return None
        return int(self._watchdog_us) / 2e6

    def notify(self, *states: str) -> None:
        """Send e.g. ``READY=1``; a manager that does not listen is no failure."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.setblocking(False)
                manager.sendto("\n".join(states).encode(), self._address)
        except OSError:
            return
