"""A console beside a real Alertmanager that holds what is posted to it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from jauge_collector import config

from tests import parts
from tests.collector.console.doors import Holder, guarded

HOT: Final = {
    "alertname": "JaugeRoomHot",
    "severity": "page",
    "topic": "cooling",
    "team": "facilities",
    "site": "s",
    "room": "hall",
}
SILENT: Final = {
    "alertname": "JaugeAgentSilent",
    "severity": "ticket",
    "topic": "delivery",
    "team": "platform",
    "site": "s",
    "agent": "plant",
}
DRIFT: Final = {
    "alertname": "JaugePueDrift",
    "severity": "report",
    "topic": "record",
    "team": "compliance",
    "site": "s",
}
WATCHDOG: Final = {"alertname": "Watchdog", "severity": "none", "topic": "delivery"}
SAID: Final = {
    "summary": "Salle hall de s trop chaude : 38,5 °C",
    "description": "L’air aspiré en salle hall est à 38,5 °C d’après plusieurs capteurs.",
    "place": "site s, salle hall",
    "value": "38,5 °C",
    "limit": "35,0 °C",
    "action": "Regardez les groupes froids de la salle et appelez l’exploitation.",
    "runbook_url": "http://127.0.0.1:8090/runbooks/fr/JaugeRoomHot",
    "dashboard_url": "http://127.0.0.1:3000/d/jauge-rooms?var-site=s&var-room=hall",
}


def alert(
    labels: Mapping[str, str],
    said: Mapping[str, str] | None = None,
    *,
    minutes: float = 5,
    over: bool = False,
) -> dict[str, Any]:
    """An alert that began so many minutes ago; ``over``: it has just ended."""
    now = datetime.now(UTC)
    told: dict[str, Any] = {
        "labels": dict(labels),
        "annotations": dict(said or {}),
        "startsAt": (now - timedelta(minutes=minutes)).isoformat(),
        "endsAt": (now + timedelta(seconds=-1 if over else 3600)).isoformat(),
    }
    return told


async def tell(part: parts.Alertmanager, alerts: Sequence[Mapping[str, Any]]) -> None:
    """Post alerts, and wait until each that lasts is there."""
    await part.ask("POST", "/api/v2/alerts", list(alerts))
    now = datetime.now(UTC)
    lasting = [
        {k: v for k, v in a["labels"].items() if v}
        for a in alerts
        if datetime.fromisoformat(a["endsAt"]) > now
    ]

    async def there() -> bool:
        held = [one["labels"] for one in await part.ask("GET", "/api/v2/alerts")]
        return all(labels in held for labels in lasting)

    await parts.eventually(there, within=20, what="the alerts are there")


async def silence(
    part: parts.Alertmanager,
    matchers: Mapping[str, str],
    *,
    comment: str = "a test",
    hours: float = 2,
) -> str:
    """A silence that runs from now; its identifier."""
    now = datetime.now(UTC)
    body = {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in matchers.items()
        ],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=hours)).isoformat(),
        "createdBy": "ops",
        "comment": comment,
    }
    made = await part.ask("POST", "/api/v2/silences", body)
    return str(made["silenceID"])


async def until_state(part: parts.Alertmanager, name: str, state: str) -> None:
    """Wait until Alertmanager itself says that an alert is ``active`` or ``suppressed``."""

    async def so() -> bool:
        found = await part.ask("GET", f"/api/v2/alerts?filter=alertname%3D{name}")
        return [one["status"]["state"] for one in found] == [state]

    await parts.eventually(so, within=20, what=f"{name} is {state}")


def on_call(folder: Path, url: str, *holders: Holder, site: str = "", more: str = "") -> Any:
    """A configuration whose console asks an Alertmanager and knows these people."""
    guarded(folder, *holders, site=site)
    path = folder / "collector.toml"
    with path.open("a", encoding="utf-8") as file:
        file.write(f'[alerts]\nurl = "{url}"\n{more}')
    return config.load(path)
