"""A console over the record of a yard, with those who keep it and a tenant who reads it.

The yard is the site of `tests.collector.compliance.yard`; here its inventory is longer, some of
its servers are used by « alpha », and one meter is alpha's.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from jauge_collector import config

from tests.collector.compliance.yard import SERVERS
from tests.collector.console.doors import (
    ADMINISTRATOR,
    APPROVER,
    OFFICER,
    READER,
    Browser,
    Holder,
    hidden,
    write_tokens,
)
from tests.collector.console.serving import Served, opened, serve
from tests.parts import eventually

QUARTER: Final = "2025-Q4"
ROOT: Final = "/yard/compliance"
ALPHA: Final = Holder("alpha", "reader", tenants=("alpha",))
ALPHAS_OFFICER: Final = Holder("boffin", "officer", tenants=("alpha",))
PEOPLE: Final = (OFFICER, APPROVER, READER, ADMINISTRATOR, ALPHA, ALPHAS_OFFICER)
OTHERS: Final = 130
"""Servers of another body, more than a page of the register holds."""
OWN: Final = '\n[[attributes]]\nsubject = "it"\nname = "tenant"\nvalue = "alpha"\n'


def inventory() -> str:
    """The yard's two servers, two of alpha's, and many of beta's that nothing measures."""
    lines = [SERVERS.rstrip("\n")]
    lines += [f"ALPHA-{n};SNA{n};R;1;A1;region;alpha;A2;2024-01-01;" for n in (1, 2)]
    lines += [
        f"BETA-{n:03d};SNB{n};R;1;B{n % 12};region;beta;A2;2024-01-01;" for n in range(OTHERS)
    ]
    return "\n".join(lines) + "\n"


def settings(built: Path, folder: Path, *holders: Holder) -> config.CollectorConfig:
    """A copy of the built yard whose console knows these people."""
    shutil.copytree(built, folder)
    write_tokens(folder, *holders)
    (folder / "servers.csv").write_text(inventory(), encoding="utf-8")
    with (folder / "yard.toml").open("a", encoding="utf-8") as site:
        site.write(OWN)
    path = folder / "collector.toml"
    with path.open("a", encoding="utf-8") as file:
        file.write('[console.access]\nmode = "token"\ntokens_file = "tokens.toml"\n')
    return config.load(path)


@asynccontextmanager
async def office(
    built: Path, folder: Path, *holders: Holder, start: bool = True
) -> AsyncIterator[Served]:
    """The console of that site on a free loopback port; its record is there when it is used."""
    known = holders or PEOPLE
    async with opened(settings(built, folder, *known)) as state, serve(state) as served:
        if start:
            await ready(served, known[0])
        yield served


async def ready(console: Served, who: Holder, quarter: str = QUARTER) -> None:
    """Returns once the record of a quarter is there: a page waits for it, and for no longer."""
    path = f"/api/v1/servers?site=yard&quarter={quarter}"
    for _ in range(20):
        status, _, text = await console.get(path, headers=who.bearer)
        if status == 200:
            return
        assert status == 503, text
    raise AssertionError("the record was not worked out")


async def signed_in(console: Served, who: Holder) -> Browser:
    """Somebody's browser."""
    browser = Browser(console)
    status, _, _ = await browser.sign_in(who.token)
    assert status == 303
    return browser


async def act(browser: Browser, page: str, action: str, **fields: str) -> tuple[int, str]:
    """A form of a page, filled in and sent; status and where it leads."""
    _, _, text = await browser.get(page)
    part = text[text.index(f'action="{action}') :]
    sent = {"form_token": hidden(part), **fields}
    status, headers, _ = await browser.post(action, sent)
    return status, headers.get("Location", "")


async def closed(browser: Browser, quarter: str = QUARTER) -> None:
    """Close a quarter as an officer does, and come back when that is done."""
    page, action = f"{ROOT}/reports?lang=en", f"{ROOT}/reports/close"
    status, where = await act(browser, page, action, quarter=quarter, note="")
    assert (status, where) == (303, f"{ROOT}/reports?outcome=close_begun")

    async def done() -> bool:
        return "Being closed" not in (await browser.get(page))[2]

    await eventually(done, within=60, what="the quarter is closed")
    assert "could not be closed" not in (await browser.get(page))[2]
