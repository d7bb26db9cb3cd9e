"""The dashboards, from wide to narrow; each module defines one ``BOARD``."""

from typing import Final

from jauge_dashboards.board import Board
from jauge_dashboards.boards import (
    cooling,
    fleet,
    gpus,
    hosts,
    power,
    rooms,
    site,
    virtualisation,
)

BOARDS: Final[tuple[Board, ...]] = (
    site.BOARD,
    power.BOARD,
    cooling.BOARD,
    rooms.BOARD,
    hosts.BOARD,
    virtualisation.BOARD,
    gpus.BOARD,
    fleet.BOARD,
)
