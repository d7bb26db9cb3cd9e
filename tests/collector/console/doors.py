"""Consoles that let in only whom they know, and visitors that hold a token."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from jauge_collector import config
from jauge_collector.access.tokens import digest_of
from jauge_collector.console.guard import LOGIN
from jauge_collector.inventory import Agent

from tests.collector.console.serving import Served, configuration

SAME = {"Sec-Fetch-Site": "same-origin"}
"""What a browser sends with a form of our own page."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody in the tokens file."""

    name: str
    role: str
    sites: tuple[str, ...] = ("*",)
    tenants: tuple[str, ...] = ("*",)
    expires: str = ""
    share: bool = False

    @property
    def token(self) -> str:
        """A token of the right form, made of the name."""
        return f"jauge_{(self.name * 43)[:43]}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that shows it."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def entry(self) -> str:
        """Its entry in the tokens file."""
        lines = [
            "[[tokens]]",
            f'name = "{self.name}"',
            f'role = "{self.role}"',
            f"sites = {list(self.sites)}",
            f"tenants = {list(self.tenants)}",
            f'sha256 = "{digest_of(self.token).hex()}"',
        ]
        if self.expires:
            lines.append(f'expires = "{self.expires}"')
        if self.share:
            lines.append("share_site_indicators = true")
        return "\n".join(lines) + "\n"


READER = Holder("reader", "reader")
OPERATOR = Holder("operator", "operator")
OFFICER = Holder("officer", "officer")
APPROVER = Holder("approver", "approver")
ADMINISTRATOR = Holder("administrator", "administrator")
EVERYBODY = (READER, OPERATOR, OFFICER, APPROVER, ADMINISTRATOR)


def write_tokens(folder: Path, *holders: Holder) -> Path:
    """The tokens file of a folder."""
    path = folder / "tokens.toml"
    path.write_text("\n".join(holder.entry for holder in holders), encoding="utf-8")
    return path


def guarded(
    folder: Path,
    *holders: Holder,
    listen: str = "127.0.0.1:8090",
    tls: bool = False,
    access: str = "",
    site: str = "",
) -> config.CollectorConfig:
    """A configuration that asks for tokens; ``access`` are further lines of its section."""
    write_tokens(folder, *holders)
    more = '[console.access]\nmode = "token"\ntokens_file = "tokens.toml"\n'
    more += f"tls_in_front = {str(tls).lower()}\n{access}"
    configuration(folder, more="")
    if site:
        (folder / "site.toml").write_text(site, encoding="utf-8")
    path = folder / "collector.toml"
    text = path.read_text(encoding="utf-8").replace("127.0.0.1:8090", listen) + more
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def hidden(page: str, name: str = "form_token") -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


class Browser:
    """Keeps cookies and sends forms as a browser does; follows nothing."""

    def __init__(self, console: Served) -> None:
        self.console = console
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **named: Any) -> tuple[int, Any, str]:
        """A page."""
        return await self._ask("GET", path, **named)

    async def post(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] = SAME
    ) -> tuple[int, Any, str]:
        """A form."""
        return await self._ask("POST", path, data=dict(fields), headers=headers)

    async def sign_in(
        self, token: str, *, back: str = "/", headers: Mapping[str, str] = SAME
    ) -> tuple[int, Any, str]:
        """The sign-in form, filled in and sent."""
        _, _, page = await self.get(f"{LOGIN}?next={back}")
        fields = {"form_token": hidden(page), "next": hidden(page, "next"), "token": token}
        return await self.post(LOGIN, fields, headers)

    async def _ask(self, method: str, path: str, **named: Any) -> tuple[int, Any, str]:
        headers = {**named.pop("headers", {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        status, answered, text = await self.console.ask(method, path, headers=headers, **named)
        for line in answered.getall("Set-Cookie", []):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return status, answered, text


def quarantine(agent: Agent) -> None:
    """Have an agent be heard twice under one name."""
    agent.quarantined_since_ms, agent.twins = 1, ("b1", "b2")


def held_back(agent: Agent) -> bool:
    """Whether an agent is in quarantine now."""
    return agent.quarantined


def refusals(metrics: str) -> dict[str, float]:
    """How often each reason was counted."""
    found = re.findall(r'jauge_collector_access_refused_total\{reason="(\w+)"\} ([\d.]+)', metrics)
    return {reason: float(count) for reason, count in found}


def audited(folder: Path) -> list[dict[str, Any]]:
    """What stands in the record of changes."""
    path = folder / "state" / "console-audit.jsonl"
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
