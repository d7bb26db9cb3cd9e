"""A BMC that answers DCMI's power reading: ``python dcmi_bmc.py PORT FILE PASSWORD``.

FILE holds the watts, and a second word ``off`` when power statistics are not active; a first word
that is no number is a command that the BMC does not know.
"""

import struct
import sys
from pathlib import Path
from typing import Any

from pyghmi.ipmi.bmc import Bmc

_DCMI = (0x2C, 0x02)


class DcmiBmc(Bmc):  # type: ignore[misc]
    """DCMI beside what pyghmi answers by itself."""

    file = Path(sys.argv[2])

    def get_power_state(self) -> str:
        """On."""
        return "on"

    def handle_raw_request(self, request: dict[str, Any], session: Any) -> None:
        """Get Power Reading, DCMI 1.5 table 6-16."""
        words = self.file.read_text(encoding="ascii").split()
        if (request["netfn"], request["command"]) != _DCMI or not words[0].isdigit():
            super().handle_raw_request(request, session)
            return
        watts, state = int(words[0]), 0x00 if "off" in words else 0x40
        data = struct.pack(
            "<BHHHHIIB", 0xDC, watts, watts, watts, watts, 1_700_000_000, 1000, state
        )
        session.send_ipmi_response(data=list(data))


if __name__ == "__main__":
    DcmiBmc({"jauge": sys.argv[3]}, port=int(sys.argv[1]), address="::ffff:127.0.0.1").listen()
