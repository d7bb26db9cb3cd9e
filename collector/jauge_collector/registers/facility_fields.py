"""What a data centre reports of itself: every field of Delegated Regulation (EU) 2024/1364.

Annexes I to III, and what French law asks for beside them (code de l'énergie, L.236-1, D.236-1 to
D.236-7). Symbols are those of the regulation; two fields share T_IN there, so that each has a key
of its own here. Names in French and English stand in ``reports/locale/eed``.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec


class Kind(StrEnum):
    """What a value may be."""

    TEXT = "text"
    NUMBER = "number"
    """Zero or more, in the field's unit."""
    DEGREES = "degrees"
    SHARE = "share"
    """0 to 1."""
    YES_NO = "yes_no"
    MONTH = "month"
    """2026-01."""
    DAY = "day"
    ADDRESS = "address"
    """``https://…`` or ``mailto:…``."""


class Family(StrEnum):
    """The five families of D.236-1 to D.236-7, and what only this tool's pages need."""

    ADMINISTRATIVE = "administrative"
    OPERATION = "operation"
    ENERGY = "energy"
    """Energy and sustainability."""
    ICT = "ict"
    TRAFFIC = "traffic"
    PUBLICATION = "publication"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field. ``annual`` values are of one calendar year; others hold from a day to a day."""

    key: str
    point: str = ""
    """Annex and point: ``II 1(d)``; empty for what the regulation has not."""
    symbol: str = ""
    unit: str = ""
    kind: Kind = Kind.TEXT
    family: Family
    annual: bool = False
    public: bool = False
    """Whether the public page shows it: Annex VII of Directive (EU) 2023/1791, D.236-1. No
    contact of a person and no redundancy of the plant ever is."""
    choices: tuple[str, ...] = ()


def _identity(
    key: str,
    family: Family = Family.ADMINISTRATIVE,
    *,
    kind: Kind = Kind.TEXT,
    public: bool = False,
    choices: tuple[str, ...] = (),
    point: str = "I",
) -> Field:
    return Field(key=key, point=point, kind=kind, family=family, public=public, choices=choices)


def _annual(
    key: str,
    point: str,
    symbol: str,
    unit: str,
    family: Family = Family.ENERGY,
    *,
    kind: Kind = Kind.NUMBER,
    choices: tuple[str, ...] = (),
) -> Field:
    return Field(
        key=key,
        point=point,
        symbol=symbol,
        unit=unit,
        kind=kind,
        family=family,
        annual=True,
        public=True,
        choices=choices,
    )


_OPERATION: Final = Family.OPERATION
_ICT: Final = Family.ICT

ANNEX: Final = (
    _identity("name", public=True),
    _identity("owner_name", public=True),
    _identity("owner_contact"),
    _identity("operator_name", public=True),
    _identity("operator_contact"),
    _identity("lau_code", public=True),
    _identity(
        "type", _OPERATION, public=True, choices=("enterprise", "colocation", "co-hosting", "mixed")
    ),
    _identity("structure", _OPERATION, public=True, choices=("structure", "group of structures")),
    _identity("mixed_building", _OPERATION, kind=Kind.YES_NO, public=True),
    _identity("entry_into_operation", _OPERATION, kind=Kind.MONTH, public=True),
    _identity("electrical_redundancy_hv", _OPERATION),
    _identity("electrical_redundancy_lv", _OPERATION),
    _identity("electrical_redundancy_rack", _OPERATION),
    _identity("cooling_redundancy_room", _OPERATION),
    _identity("cooling_redundancy_rack", _OPERATION),
    _annual("pd_it", "II 1(a)", "PD_IT", "kW"),
    _annual(
        "pd_it_basis",
        "II 1(a)",
        "",
        "",
        kind=Kind.TEXT,
        choices=("weighted average", "rated IT load"),
    ),
    _annual("s_dc", "II 1(b)", "S_DC", "m2"),
    _annual("s_cr", "II 1(c)", "S_CR", "m2"),
    _annual("e_dc", "II 1(d)", "E_DC", "kWh"),
    _annual("e_dc_bg", "II 1(d)", "E_DC-BG", "kWh"),
    _annual("e_it", "II 1(e)", "E_IT", "kWh"),
    _annual("grid_functions", "II 1(f)", "", "", kind=Kind.YES_NO),
    _annual("c_btg", "II 1(g)", "C_BtG", "kW"),
    _annual("w_in", "II 1(h)", "W_IN", "m3"),
    _annual("w_in_pot", "II 1(i)", "W_IN-POT", "m3"),
    _annual("e_reuse", "II 1(j)", "E_REUSE", "kWh"),
    _annual("t_wh", "II 1(k)", "T_WH", "°C", kind=Kind.DEGREES),
    _annual("t_in_air", "II 1(l)", "T_IN", "°C", kind=Kind.DEGREES),
    _annual("refrigerants", "II 1(m)", "", "", kind=Kind.TEXT),
    _annual("cdd", "II 1(n)", "CDD", "°C·d"),
    _annual("e_res_tot", "II 1(o)", "E_RES-TOT", "kWh"),
    _annual("e_res_goo", "II 1(p)", "E_RES-GOO", "kWh"),
    _annual("e_res_ppa", "II 1(q)", "E_RES-PPA", "kWh"),
    _annual("e_res_os", "II 1(r)", "E_RES-OS", "kWh"),
    _annual("c_serv", "II 2(a)", "C_SERV", "SERT", _ICT),
    _annual("c_serv_covered", "II 2(a)", "", "1", _ICT, kind=Kind.SHARE),
    _annual("c_stor", "II 2(b)", "C_STOR", "PB", _ICT),
    _annual("c_stor_covered", "II 2(b)", "", "1", _ICT, kind=Kind.SHARE),
    _annual("b_in", "II 3(a)", "B_IN", "GB/s", Family.TRAFFIC),
    _annual("b_out", "II 3(b)", "B_OUT", "GB/s", Family.TRAFFIC),
    _annual("t_in_traffic", "II 3(c)", "T_IN", "EB", Family.TRAFFIC),
    _annual("t_out_traffic", "II 3(d)", "T_OUT", "EB", Family.TRAFFIC),
    _annual("pue", "III", "PUE", "1"),
    _annual("wue", "III", "WUE", "m3/MWh"),
    _annual("erf", "III", "ERF", "1"),
    _annual("ref", "III", "REF", "1"),
)
"""The regulation's, in its order."""

NATIONAL: Final = (
    _identity("siret", point=""),
    _identity("municipality", point="", public=True),
    _annual("data_stored", "", "", "", _ICT, kind=Kind.TEXT),
    _annual("data_processed", "", "", "", _ICT, kind=Kind.TEXT),
)
"""Asked for by Annex VII of Directive (EU) 2023/1791 or by D.236-1 to D.236-7 alone."""

PAGES: Final = (
    _identity("publisher_name", Family.PUBLICATION, public=True, point=""),
    _identity("publisher_uri", Family.PUBLICATION, kind=Kind.ADDRESS, public=True, point=""),
    _identity("page_url", Family.PUBLICATION, kind=Kind.ADDRESS, public=True, point=""),
    _identity("contact", Family.PUBLICATION, kind=Kind.ADDRESS, public=True, point=""),
    _identity(
        "accessibility_state",
        Family.PUBLICATION,
        public=True,
        choices=("non conforme", "partiellement conforme", "totalement conforme"),
        point="",
    ),
    _identity("accessibility_audit_day", Family.PUBLICATION, kind=Kind.DAY, public=True, point=""),
    _identity(
        "accessibility_audit_rate", Family.PUBLICATION, kind=Kind.SHARE, public=True, point=""
    ),
    _identity("accessibility_audit_role", Family.PUBLICATION, public=True, point=""),
)
"""What the public pages say of themselves: who publishes, how to write to them, the audit."""

FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {field.key: field for field in (*ANNEX, *NATIONAL, *PAGES)}
)
"""Every field by its key."""
