"""A console whose site declares the plant of examples/capacity, and its scenario as a form."""

import html
import re
from collections.abc import Mapping
from pathlib import Path

from jauge_collector import config

from tests.collector.capacity.example import EXAMPLES
from tests.collector.console.doors import SAME, Browser, Holder, guarded, hidden
from tests.collector.console.serving import SITE, Served
from tests.collector.console.test_tickets import OWNER

CAPACITY = """
[capacity]
plant = "plant.toml"
price_eur_per_kwh = 0.2
price_source = "example value"
"""
SCENARIO = (EXAMPLES / "scenario.toml").read_text("utf-8")
SHORT = """
name = "A week"
zone = "Europe/Paris"
first = 2026-09-07
days = 7

[[inference]]
id = "assistant"
gpu_kinds = ["H100"]
replicas = 2
"""
"""Answered within a moment."""
PAGE = "/s/capacity"
FORM = f"{PAGE}/form"


def planned(folder: Path, *holders: Holder) -> config.CollectorConfig:
    """The configuration; the UPS is a tenant's, alpha."""
    plant = (EXAMPLES / "plant.toml").read_text("utf-8")
    (folder / "plant.toml").write_text(plant, encoding="utf-8")
    return guarded(folder, *holders, site=SITE + CAPACITY + OWNER.format("ups", "alpha"))


def keep(folder: Path, name: str, text: str) -> Path:
    """Save a scenario as the collector does."""
    path = folder / "state" / "scenarios" / "s" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def saved(folder: Path) -> dict[str, str]:
    """The saved scenarios of the site."""
    found = (folder / "state" / "scenarios" / "s").glob("*")
    return {path.name: path.read_text("utf-8") for path in found}


async def signed_in(console: Served, who: Holder) -> Browser:
    """Somebody's browser."""
    browser = Browser(console)
    assert (await browser.sign_in(who.token))[0] == 303
    return browser


def filled(page: str) -> dict[str, str]:
    """What a browser would send of the page's scenario form: its fields as they stand."""
    part = page[page.index('<form class="entry plan"') :]
    part = part[: part.index("</form>")]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", part):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name and ("checkbox" not in tag or " checked" in tag):
            found[name[1]] = html.unescape(value[1]) if value else ""
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', part):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


async def send(
    browser: Browser, fields: Mapping[str, str], act: str, code: str = "en"
) -> tuple[int, str, str]:
    """Press a button of the form: status, where it leads, the page."""
    status, headers, text = await browser.post(
        f"{FORM}?lang={code}", {**fields, "do": act}, headers=SAME
    )
    return status, headers.get("Location", ""), text


def proof(page: str, action: str) -> str:
    """The value that the form with an action carries."""
    return hidden(page[page.index(f'action="{action}') :])
