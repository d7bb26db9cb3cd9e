"""A scenario sent as a file: kept as it is, or refused in a line, and nothing of it left behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from jauge_collector.capacity.scenarios import LARGEST

from tests.collector.console.doors import OPERATOR, SAME, Browser
from tests.collector.console.planned import PAGE, SHORT, planned, proof, saved, signed_in
from tests.collector.console.serving import Served, serving


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """A console with a plant and an operator."""
    async with serving(planned(tmp_path, OPERATOR)) as served:
        yield served


async def upload(
    browser: Browser, content: bytes, name: str = "week.toml", **fields: str
) -> tuple[int, str, str]:
    """The upload form, sent with a file."""
    _, _, page = await browser.get(f"{PAGE}?lang=en")
    form = aiohttp.FormData(quote_fields=False)  # names as browsers send them
    form.add_field("form_token", proof(page, f"{PAGE}/upload"))
    for key, value in fields.items():
        form.add_field(key, value)
    form.add_field("document", content, filename=name, content_type="application/octet-stream")
    cookies = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    status, headers, text = await browser.console.ask(
        "POST", f"{PAGE}/upload?lang=en", data=form, headers={**SAME, "Cookie": cookies}
    )
    return status, headers.get("Location", ""), text


async def test_a_file_is_uploaded_as_it_is(console: Served, tmp_path: Path) -> None:
    """Under its name, with its remarks; over another only where that is said."""
    browser = await signed_in(console, OPERATOR)
    content = f"# a remark\n{SHORT}".encode()
    status, where, text = await upload(browser, content)
    assert (status, where) == (303, f"{PAGE}?scenario=week&outcome=saved&lang=en"), text
    assert saved(tmp_path) == {"week.toml": content.decode()}
    status, _, text = await upload(browser, SHORT.encode())
    assert (status, "Another scenario is saved as “week”" in text) == (200, True)
    status, _, _ = await upload(browser, SHORT.encode(), replace="1")
    assert (status, saved(tmp_path)) == (303, {"week.toml": SHORT})
    assert list((tmp_path / "state" / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "a.toml", "Choose a text file that ends in .toml"),
        (SHORT.encode(), "a.csv", "Choose a text file that ends in .toml"),
        (b"%PDF-1.7", "a.toml", "a.toml: not valid TOML"),
        (b"\xff\xfe", "a.toml", "Choose a text file that ends in .toml"),
        (f"{SHORT}# \u20ac".encode()[:-1], "a.toml", "Choose a text file that ends in .toml"),
        (SHORT.encode() + b"#" * LARGEST, "a.toml", "of at most 64 KiB"),
        (b"days = ", "a.toml", "a.toml: not valid TOML"),
        (b"days = 1\n", "a.toml", "a.toml: name: missing"),
        (b"a" + b".a" * 20_000 + b" = 1\n", "a.toml", "nested too deeply"),
        (
            SHORT.replace("replicas", "replica").encode(),
            "a.toml",
            "did you mean &#39;replicas&#39;",
        ),
        (SHORT.replace("H100", "H300").encode(), "a.toml", "is not in the plant"),
        (SHORT.replace("Paris", "Nowhere").encode(), "a.toml", "zone"),
        (SHORT.encode(), "é.toml", "Up to 64 letters"),
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_in_a_line(
    console: Served, tmp_path: Path, content: bytes, name: str, said: str
) -> None:
    """At the form, and nothing of it stays."""
    browser = await signed_in(console, OPERATOR)
    status, _, text = await upload(browser, content, name)
    assert status == 200
    part = text[text.index('id="upload-problem"') :]
    assert said in part[: part.index("</p>")]
    assert saved(tmp_path) == {}
    assert list((tmp_path / "state" / "uploads").iterdir()) == []
