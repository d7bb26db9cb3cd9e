"""What systemd is told: sd_notify(3), for ``Type=notify`` units with a watchdog."""

import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """Takes notifications; does nothing where no service manager waits for any."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 1e6 if self._address and usec.isdigit() else None
        """Within what time it wants each sign of life; None where it wants none."""

    def tell(self, *states: str) -> None:
        """Send e.g. ``READY=1``; one that does not listen is no failure."""
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            with socket.socket(socket.AF_UNIX, kind) as wire:
                wire.sendto("\n".join(states).encode(), self._address)
        except OSError:
            return
