"""Register maps of meters as data: ``profiles/modbus/*.toml``, or a file of the user's own.

The keys are fields of the structs here; their docstrings are the documentation of a profile.
"""

import difflib
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.quantities import CATALOGUE
from jauge_models.resources import KINDS, NAME_PATTERN

from jauge_agent.sources.modbus.blocks import BIT_FUNCTIONS, Function, Range, RegisterFunction
from jauge_agent.sources.modbus.registers import Form, Order
from jauge_agent.states import check_states
from jauge_agent.units import UNITS

FOLDER: Final = Path(__file__).parents[2] / "profiles" / "modbus"

MOST_REGISTERS: Final = 125
"""What one answer of Modbus can hold."""

EXPORT: Final = "export"

_Address = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Name = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{NAME_PATTERN}$",
        max_length=32,
        description="letters, digits and . _ : -, a letter or digit first",
    ),
]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all tables of a profile have in common: unknown keys are refused."""


class ScaleBy(_Table, frozen=True, kw_only=True):
    """A register that says by what a value is to be multiplied."""

    address: _Address
    form: Form
    means: Literal["factor", "power_of_ten"] = "factor"
    """Whether it holds the factor, or its exponent to the base of ten."""


class Point(_Table, frozen=True, kw_only=True):
    """One value of a meter."""

    quantity: str
    """Name in the catalogue of quantities."""
    address: _Address
    """Address of the first register as it stands in the request: 0 is what some call 40001."""
    form: Form
    unit: str = ""
    """Unit of the register times ``scale``, as the maker writes it; left out for a state."""
    scale: float = 1.0
    """What a count of the register is worth, in that unit."""
    part: _Name | None = None
    """``L1``, ``L1-L2`` or ``N`` for a conductor, ``export`` for what flows back, any other name
    for a sensor of the meter; left out: the whole."""
    secondary: Literal["current", "voltage", "power"] | None = None
    """The value is that of the transformers' secondary side, to be multiplied by their ratios."""
    by_pulse_weight: bool = False
    """The register counts pulses, worth what the configuration says."""
    scale_by: ScaleBy | None = None
    bit: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None
    """The register holds bits: which of them, 0 being the lowest; the value is 0 or 1."""
    states: dict[str, float] = {}
    """The register, or the bit, names a state: what each number is worth in the catalogue's unit.
    One that is not among them is no value."""
    none: list[int] = []
    """Further numbers in the register that mean that there is no value."""
    function: Function | None = None
    """Function of Modbus; the profile's when left out. Coils (1) and discrete inputs (2) have the
    form ``bit``."""
    verified: bool | None = None
    """As the profile's key, where it differs."""
    source: str = ""
    """Where this register is documented, when not where the profile says."""

    def __post_init__(self) -> None:
        """Raises ValueError for a quantity, unit, bit or states that do not fit."""
        entry = CATALOGUE.get(self.quantity)
        if entry is None:
            raise ValueError(f"{self.quantity!r} is no quantity of the catalogue")
        if (self.form is Form.BIT) != (self.function in BIT_FUNCTIONS):
            raise ValueError("form bit is that of the functions 1 and 2, and theirs alone")
        if self.is_state:
            self._check_state()
            return
        known = UNITS.get(self.unit)
        if known is None or known[0] is not entry.unit:
            fit = ", ".join(name for name, (unit, _) in UNITS.items() if unit is entry.unit)
            raise ValueError(f"{self.unit!r} is no unit of {self.quantity}; known are {fit}")

    @property
    def is_state(self) -> bool:
        """Whether it is one of several states, not a number of something."""
        return bool(self.states) or self.bit is not None or self.form is Form.BIT

    @property
    def factor(self) -> float:
        """What a count is worth in the catalogue's unit, before any ratio."""
        return 1.0 if self.is_state else self.scale * UNITS[self.unit][1]

    def _check_state(self) -> None:
        scaled = (self.unit, self.scale, self.secondary, self.by_pulse_weight, self.scale_by)
        if scaled != ("", 1.0, None, False, None):
            raise ValueError("a state has no unit, and nothing scales it")
        if self.bit is not None and self.bit >= self.form.bits:
            fit = "uint16, uint32 or uint64"
            raise ValueError(f"bit {self.bit} is none of {self.form}; bits are those of {fit}")
        if self.form in (Form.FLOAT32, Form.FLOAT64):
            raise ValueError(f"states are whole numbers, {self.form} is none")
        is_bit = self.bit is not None or self.form is Form.BIT
        for told in self.states:
            if not (told.isascii() and told.removeprefix("-").isdecimal()):
                raise ValueError(f"states: {told!r} is no whole number")
            if told != (written := str(int(told))):
                raise ValueError(f"states: {told!r} is no whole number as it is written: {written}")
            if is_bit and told not in ("0", "1"):
                raise ValueError(f"states: {told!r} is none of a bit, which is 0 or 1")
        check_states(self.quantity, self.states or {"a bit": 1.0})


class Serial(_Table, frozen=True, kw_only=True):
    """Where the serial number stands."""

    address: _Address
    form: Form | None = None
    """Form of a number; left out, the registers hold text."""
    words: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    """Registers of a text."""
    hexadecimal: bool = False
    """The registers are told as hexadecimal digits."""
    function: RegisterFunction | None = None
    verified: bool | None = None


class Mark(_Table, frozen=True, kw_only=True):
    """One thing by which a meter of this family is recognised."""

    address: _Address
    words: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    text: str | None = None
    """The registers hold a text that has this in it, whatever the case."""
    values: list[int] = []
    """The register holds one of these numbers."""
    function: RegisterFunction | None = None

    def __post_init__(self) -> None:
        """Raises ValueError when it would recognise anything."""
        if bool(self.text) == bool(self.values):
            raise ValueError("a mark needs either text or values")


class Profile(_Table, frozen=True, kw_only=True):
    """A family of meters with one register map."""

    title: str
    maker: _Name
    """First part of the identity of meters that tell their serial number."""
    models: list[str]
    kind: str = "meter"
    stability: Literal["experimental", "beta", "stable"] = "beta"
    """stable: read from a real meter of the family; experimental: the map is not sure."""
    source: str
    """The maker's document that describes the registers, and what it was compared with."""
    verified: bool = False
    """Whether the registers were compared with the maker's document, or with two programs that
    are used on such meters and agree; else they are from memory or from one place only."""
    remark: str = ""
    """What who installs such a meter must know."""
    function: RegisterFunction = 3
    word_order: Order = "big"
    byte_order: Order = "big"
    most_registers: Annotated[int, msgspec.Meta(ge=1, le=MOST_REGISTERS)] = MOST_REGISTERS
    """Registers that one request may ask for."""
    gap: Annotated[int, msgspec.Meta(ge=0, le=MOST_REGISTERS)] = 8
    """Unused registers between two values that may be read along."""
    floor_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """Seconds between two readings below which the meter would show nothing new."""
    recognised_by: list[Mark] = []
    """All of these must hold; none: such a meter cannot be told from others."""
    serial: Serial | None = None
    points: Annotated[list[Point], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Raises ValueError for a kind that is none, or a value that stands there twice."""
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of resource")
        seen: set[tuple[str, str | None]] = set()
        for point in self.points:
            if (point.quantity, point.part) in seen:
                raise ValueError(f"{point.quantity} of {point.part or 'the whole'} stands twice")
            seen.add((point.quantity, point.part))

    @property
    def has_secondary_values(self) -> bool:
        """Whether ratios of transformers are to be applied by the agent."""
        return any(point.secondary for point in self.points)

    @property
    def counts_pulses(self) -> bool:
        """Whether a pulse's weight must be configured."""
        return any(point.by_pulse_weight for point in self.points)

    def is_verified(self, entry: Point | Serial) -> bool:
        """Whether the register of an entry is known for sure."""
        return self.verified if entry.verified is None else entry.verified

    def range_of(self, entry: Point | Serial | Mark, offset: int = 0) -> Range:
        """The registers of an entry, ``offset`` further on."""
        form = None if isinstance(entry, Mark) else entry.form
        if form is not None:
            words = form.words
        else:
            words = entry.words if isinstance(entry, Mark | Serial) else 1
        return Range(entry.function or self.function, entry.address + offset, words)


def names() -> list[str]:
    """The profiles that come with the agent."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def load(name: str) -> Profile:
    """A profile by its name, or by the absolute path of a file of one's own.

    Raises ValueError in one line when it is not there or not right.
    """
    path = Path(name) if Path(name).is_absolute() else FOLDER / f"{name}.toml"
    if not Path(name).is_absolute() and name not in names():
        near = difflib.get_close_matches(name.lower(), names(), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name!r} is no profile{meant}; known are {', '.join(names())}")
    try:
        return parse(path.read_text(encoding="utf-8"), Profile, file=str(path))
    except ConfigurationError:
        raise
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
