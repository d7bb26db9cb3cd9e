"""The configuration files of a stage, written as a person would write them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jauge_models.wire import Address

SETTLE_S: Final = 12.0
"""The least that the collector accepts with the store's flush interval of 1 s."""
RESEND_AFTER_S: Final = 15.0
"""Of the agent: settle and a little, where a real one has settle and 30 s."""
TOKEN: Final = f"jauge_{'x' * 43}"
"""Of the stage itself, who asks collectors how they are."""

Settings = Mapping[str, Mapping[str, Any]]
"""Sections of a TOML file; keys before the first section are in the section ``""``."""

_SITE: Final = """
[site]
name = "{address.site}"
time_zone = "UTC"

[[meters]]
id = "it"
commodity = "electricity"
feeds = ["{address.agent}/meter:m0"]
interval_s = 300
counts = "from_start"
reason = "a test"

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{{ meter = "it" }}]
"""
_TOKENS: Final = """
[[tokens]]
name = "stage"
role = "administrator"
sites = ["*"]
tenants = ["*"]
sha256 = "{digest}"
"""
_LOOPBACK: Final = "127.0.0.1"


def write_site(folder: Path, address: Address) -> None:
    """One meter, fed by the first series of an agent."""
    (folder / "site.toml").write_text(_SITE.format(address=address), encoding="utf-8")


def write_agent(file: Path, address: Address, *, broker: Mapping[str, Any], more: Settings) -> None:
    """An agent's file; ``more`` has what is not the same for all, spool and source at least."""
    sections: Settings = {
        "": {"site": address.site, "agent": address.agent},
        "broker": {"tls": False, **broker},
        "delivery": {"resend_after_s": RESEND_AFTER_S},
    }
    write_toml(file, sections, more)


def write_collector(
    file: Path,
    *,
    broker: Mapping[str, Any],
    store_url: str | None,
    listen: tuple[str, int],
    more: Settings,
) -> None:
    """A collector's file; without a ``store_url`` it keeps readings in SQLite.

    Elsewhere than on loopback it shows itself to bearers of `TOKEN` alone.
    """
    host, port = listen
    sections: dict[str, Mapping[str, Any]] = {
        "": {"sites": ["site.toml"], "state_dir": "state"},
        "mqtt": {"tls": False, **broker},
        "store": {"kind": "sqlite"}
        if store_url is None
        else {"kind": "victoriametrics", "url": store_url, "settle_s": SETTLE_S},
        "ledger": {"pass_every_s": 1},
        "console": {"listen": f"{host}:{port}"},
    }
    if host != _LOOPBACK:
        tokens = file.with_name("tokens.toml")
        tokens.write_text(_TOKENS.format(digest=hashlib.sha256(TOKEN.encode()).hexdigest()))
        tokens.chmod(0o600)
        sections["console.access"] = {
            "mode": "token",
            "tokens_file": tokens.name,
            "tls_in_front": True,
        }
    write_toml(file, sections, more)


def write_toml(file: Path, sections: Settings, more: Settings) -> None:
    """Write a configuration file; ``more`` replaces and adds keys and sections."""
    merged: dict[str, dict[str, Any]] = {name: dict(keys) for name, keys in sections.items()}
    for name, keys in more.items():
        merged.setdefault(name, {}).update(keys)
    lines: list[str] = []
    for name, keys in merged.items():
        lines += [f"[{name}]"] if name else []
        lines += [*(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
    file.write_text("\n".join(lines), encoding="utf-8")
