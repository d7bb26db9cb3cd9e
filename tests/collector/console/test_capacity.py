"""GPU capacity by the console: saved, answered, downloaded, uploaded, deleted, and by whom."""

import csv
import json
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path

import pytest
from jauge_collector.console.capacity_form import LARGEST_FORM
from jauge_collector.console.scenario_levels import SCENARIO as LEVELS
from jauge_models.capacity.scenario import decode, encode

from tests.collector.console.doors import (
    ADMINISTRATOR,
    EVERYBODY,
    OFFICER,
    OPERATOR,
    READER,
    SAME,
    Browser,
    Holder,
    audited,
    guarded,
)
from tests.collector.console.planned import (
    FORM,
    PAGE,
    SCENARIO,
    SHORT,
    filled,
    keep,
    planned,
    proof,
    saved,
    send,
    signed_in,
)
from tests.collector.console.plants import LARGEST as LARGEST_PAGE
from tests.collector.console.serving import Served, serving
from tests.parts import eventually

ALPHA = Holder("alpha", "operator", tenants=("alpha",))


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """A console with a plant, which knows each role and a tenant's operator."""
    async with serving(planned(tmp_path, *EVERYBODY, ALPHA)) as served:
        yield served


async def answered(browser: Browser, path: str) -> str:
    """The page once the answer is there."""
    pages: list[str] = []

    async def there() -> bool:
        status, _, text = await browser.get(path)
        assert status == 200, text
        pages.append(text)
        return "is being worked out" not in text

    await eventually(there, within=60, what="the answer")
    return pages[-1]


async def test_a_scenario_is_made_saved_and_answered(console: Served, tmp_path: Path) -> None:
    """From an empty form, row by row, to the sentence, and into the record of changes."""
    browser = await signed_in(console, OPERATOR)
    _, _, overview = await browser.get("/s?lang=en")
    assert PAGE in overview
    _, _, page = await browser.get(f"{PAGE}?lang=en")
    assert "None is saved." in page
    _, _, page = await browser.get(f"{FORM}?lang=en")
    fields = filled(page) | {"name": "Assistants, a week", "first": "2026-09-07", "days": "7"}
    status, _, page = await send(browser, fields, "add inference")
    assert status == 200
    fields = filled(page)
    assert fields["name"] == "Assistants, a week"
    assert saved(tmp_path) == {}
    fields |= {"inference-0-id": "assistant", "inference-0-replicas": "5"}
    status, where, _ = await send(browser, fields, "save")
    assert (status, where) == (303, f"{PAGE}?scenario=Assistants-a-week&outcome=saved&lang=en")
    text = saved(tmp_path)["Assistants-a-week.toml"]
    scenario = decode(text, file="x")
    assert (scenario.name, scenario.days) == ("Assistants, a week", 7)
    assert [(one.id, one.replicas) for one in scenario.inference] == [("assistant", 5)]
    assert encode(scenario) == text
    page = await answered(browser, where)
    assert "The scenario is saved." in page
    assert page.index("Everything fits.") < page.index("<table>")
    assert 'src="data:image/svg+xml,' in page
    assert "How it was worked out" in page
    assert "the site&#39;s PUE" in page or "the site’s PUE" in page
    told = [(one["what"], one["who"], one["site"], one["subject"]) for one in audited(tmp_path)]
    assert told[1:] == [("scenario.save", "operator", "s", "Assistants-a-week")]
    administrator = await signed_in(console, ADMINISTRATOR)
    _, _, audit = await administrator.get("/audit?lang=en")
    assert "saved a scenario" in audit


async def test_a_saved_scenario_is_opened_changed_and_saved_again(
    console: Served, tmp_path: Path
) -> None:
    """The example through the form: not a word of it changes but what was changed."""
    keep(tmp_path, "year", SCENARIO)
    browser = await signed_in(console, OFFICER)
    for code in ("en", "fr"):
        _, _, page = await browser.get(f"{FORM}?scenario=year&lang={code}")
        status, where, text = await send(browser, filled(page), "save", code)
        assert status == 303, text
        assert where.startswith(f"{PAGE}?scenario=year")
        assert decode(saved(tmp_path)["year.toml"], file="x") == decode(SCENARIO, file="x")
    _, _, page = await browser.get(f"{FORM}?scenario=year&lang=fr")
    fields = filled(page) | {"desktops-0-users": "700"}
    assert (await send(browser, fields, "save", "fr"))[0] == 303
    changed = decode(SCENARIO.replace("users = 600", "users = 700"), file="x")
    assert decode(saved(tmp_path)["year.toml"], file="x") == changed


async def test_nothing_is_saved_over_another_without_saying_so(
    console: Served, tmp_path: Path
) -> None:
    """Neither under a name that is taken, nor over what somebody changed meanwhile."""
    keep(tmp_path, "week", SHORT)
    browser = await signed_in(console, OPERATOR)
    _, _, page = await browser.get(f"{FORM}?scenario=week&lang=en")
    opened = filled(page)
    keep(tmp_path, "week", SHORT.replace("days = 7", "days = 8"))
    for fields in (opened, filled((await browser.get(f"{FORM}?lang=en"))[2]) | {"name": "week"}):
        status, _, page = await send(browser, fields | {"days": "9"}, "save")
        assert status == 200
        assert "Another scenario is saved as “week”" in page
        assert "days = 8" in saved(tmp_path)["week.toml"]
        assert filled(page)["days"] == "9"
    assert [one["what"] for one in audited(tmp_path)] == ["sign_in"]
    assert (await send(browser, filled(page) | {"replace": "1"}, "save"))[0] == 303
    assert "days = 9" in saved(tmp_path)["week.toml"]


async def test_what_is_wrong_is_said_and_what_was_written_is_kept(
    console: Served, tmp_path: Path
) -> None:
    """Beside its field, at the top with its name, and nothing is saved."""
    browser = await signed_in(console, OPERATOR)
    keep(tmp_path, "year", SCENARIO)
    _, _, page = await browser.get(f"{FORM}?scenario=year&lang=en")
    evil = '"><script>x</script>'
    fields = filled(page) | {"name": evil, "training-0-hours": "nine", "file": "../x"}
    status, _, page = await send(browser, fields, "save")
    assert status == 200
    assert '<a href="#training-0-hours">Training 1, Hours of a run' in page
    assert 'id="training-0-hours" aria-invalid="true"' in page
    assert evil not in page
    assert filled(page)["name"] == evil
    assert filled(page)["training-0-hours"] == "nine"
    status, _, page = await send(browser, fields | {"training-0-hours": "9"}, "save")
    assert (status, 'id="file-problem"' in page) == (200, True)
    assert list(saved(tmp_path)) == ["year.toml"]
    assert saved(tmp_path)["year.toml"] == SCENARIO


async def test_an_answer_may_be_had_without_saving(console: Served, tmp_path: Path) -> None:
    """Above the form, which is kept as it was."""
    browser = await signed_in(console, OPERATOR)
    _, _, page = await browser.get(f"{FORM}?lang=en")
    fields = filled(page) | {"name": "only asked", "days": "3"}
    pages: list[str] = []

    async def there() -> bool:
        pages.append((await send(browser, fields, "answer"))[2])
        return "is being worked out" not in pages[-1]

    await eventually(there, within=60, what="the answer")
    assert "Nothing is asked for in this time." in pages[-1]
    assert filled(pages[-1])["name"] == "only asked"
    assert saved(tmp_path) == {}


@pytest.mark.parametrize("who", EVERYBODY, ids=lambda holder: holder.role)
async def test_only_some_roles_save(console: Served, tmp_path: Path, who: Holder) -> None:
    """Everybody sees what is saved; the forms are shown to, and taken from, who may."""
    keep(tmp_path, "week", SHORT)
    may = who.role in ("operator", "officer")
    browser = await signed_in(console, who)
    status, _, page = await browser.get(f"{PAGE}?lang=en")
    assert status == 200
    assert (f'action="{PAGE}/delete' in page) == may
    assert (f'action="{PAGE}/upload' in page) == may
    assert (await browser.get(FORM))[0] == (200 if may else 403)
    for action in ("form", "delete", "upload"):
        status, _, _ = await browser.post(f"{PAGE}/{action}", {"form_token": "x", "do": "save"})
        # Who may is asked for the form's own value, and for the right kind of form.
        assert status in ({403, 415} if may else {403})
    for path in (f"{PAGE}/scenario?scenario=week", "/api/v1/capacity?site=s"):
        assert (await browser.get(path))[0] == 200
    assert list(saved(tmp_path)) == ["week.toml"]


async def test_a_form_of_another_place_is_refused(console: Served, tmp_path: Path) -> None:
    """Without the value of our page, and from a page of somebody else."""
    browser = await signed_in(console, OPERATOR)
    _, _, page = await browser.get(f"{FORM}?lang=en")
    fields = filled(page) | {"name": "x", "do": "save"}
    for sending, headers in (
        (fields | {"form_token": proof(page, "/logout")}, SAME),
        (fields, {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert (await browser.post(FORM, sending, headers))[0] == 403
    assert saved(tmp_path) == {}


async def test_a_tenant_sees_nothing_of_it(console: Served, tmp_path: Path) -> None:
    """It is of the whole site: no page, no file, no JSON, no form, and no link to any."""
    keep(tmp_path, "week", SHORT)
    browser = await signed_in(console, ALPHA)
    _, _, overview = await browser.get("/s?lang=en")
    assert PAGE not in overview
    for path in (
        *(PAGE, FORM, f"{PAGE}.csv?scenario=week", f"{PAGE}/scenario?scenario=week"),
        *("/api/v1/capacity?site=s", "/api/v1/capacity?site=s&scenario=week"),
    ):
        status, _, text = await browser.get(path)
        assert status == 403, path
        assert "A week" not in text
        assert "assistant" not in text


async def test_files_and_json_say_what_the_page_says(console: Served, tmp_path: Path) -> None:
    """TOML as it was saved, the tables as CSV in the reader's language, figures as JSON."""
    keep(tmp_path, "week", SHORT)
    browser = await signed_in(console, READER)
    page = await answered(browser, f"{PAGE}?scenario=week&lang=en")
    for href in (f"{PAGE}/scenario?scenario=week", f"{PAGE}.csv?scenario=week"):
        assert href in page
    status, headers, text = await browser.get(f"{PAGE}/scenario?scenario=week")
    assert (status, text) == (200, SHORT)
    assert headers["Content-Disposition"] == 'attachment; filename="week.toml"'
    status, headers, text = await browser.get(f"{PAGE}.csv?scenario=week&lang=fr")
    assert status == 200
    rows = list(csv.reader(StringIO(text)))
    assert rows[0][0] == "A week"
    assert rows[0][2].startswith("Tout tient")
    status, _, text = await browser.get("/api/v1/capacity?site=s&scenario=week")
    found = json.loads(text)
    assert (status, found["scenarios"], found["scenario"]) == (200, ["week"], "week")
    assert found["answer"]["sentence"]["code"] == "fits"
    assert found["answer"]["base"]["energy"]["euros"] is None
    _, _, text = await browser.get("/api/v1/capacity?site=s")
    assert json.loads(text)["answer"] is None
    _, _, text = await browser.get("/api/v1/openapi.json")
    described = json.loads(text)
    schema = described["paths"]["/capacity"]["get"]["responses"]["200"]["content"]
    assert schema["application/json"]["schema"]["$ref"] == "#/components/schemas/Capacity"
    assert "Answer" in described["components"]["schemas"]


async def test_a_scenario_that_is_not_there_is_not_found(console: Served) -> None:
    """Whatever it is called."""
    for name in ("none", "../../collector", "%2e%2e%2fcollector", "a%00", ""):
        for path in (f"{PAGE}.csv", f"{PAGE}/scenario"):
            status, _, _ = await console.get(f"{path}?scenario={name}", headers=READER.bearer)
            assert status == 404, (path, name)
    for path in (f"{PAGE}?scenario=none", "/api/v1/capacity?site=s&scenario=none"):
        assert (await console.get(path, headers=READER.bearer))[0] == 404


async def test_a_scenario_is_deleted_as_it_was_seen(console: Served, tmp_path: Path) -> None:
    """Not one that somebody changed meanwhile."""
    path = keep(tmp_path, "week", SHORT)
    browser = await signed_in(console, OFFICER)
    _, _, page = await browser.get(f"{PAGE}?lang=en")
    part = page[page.index(f'action="{PAGE}/delete') :]
    digest = part[part.index('name="digest" value="') + 21 :][:64]
    fields = {"form_token": proof(page, f"{PAGE}/delete"), "scenario": "week", "digest": digest}
    path.write_text(SHORT + "# changed\n", encoding="utf-8")
    _, headers, _ = await browser.post(f"{PAGE}/delete?lang=en", fields)
    assert headers["Location"] == f"{PAGE}?outcome=stale&lang=en"
    assert path.exists()
    path.write_text(SHORT, encoding="utf-8")
    _, headers, _ = await browser.post(f"{PAGE}/delete?lang=en", fields)
    assert headers["Location"] == f"{PAGE}?outcome=deleted&lang=en"
    assert not path.exists()
    assert (await browser.post(f"{PAGE}/delete", fields))[0] == 404


async def test_a_site_without_a_plant_says_how_to_declare_one(tmp_path: Path) -> None:
    """On the page and where the form would be; the overview has no link."""
    async with serving(guarded(tmp_path, *EVERYBODY)) as console:
        for path in (PAGE, FORM):
            status, _, page = await console.get(f"{path}?lang=en", headers=OPERATOR.bearer)
            assert status == 200
            assert "[capacity]" in page
            assert "<form class" not in page
        _, _, overview = await console.get("/s", headers=OPERATOR.bearer)
        assert PAGE not in overview


async def test_a_plant_that_cannot_be_used_is_said(console: Served, tmp_path: Path) -> None:
    """By file and key, on the page, over the form, and on saving; then it is a line of JSON."""
    keep(tmp_path, "week", SHORT)
    browser = await signed_in(console, OPERATOR)
    fields = filled((await browser.get(f"{FORM}?scenario=week&lang=en"))[2])
    (tmp_path / "plant.toml").write_text("kinds = 1", encoding="utf-8")
    for text in (
        await answered(browser, f"{PAGE}?lang=en"),
        (await browser.get(f"{FORM}?lang=en"))[2],
        (await send(browser, fields, "save"))[2],
    ):
        assert "plant.toml: " in text
        assert "kinds" in text
    status, _, text = await browser.get("/api/v1/capacity?site=s&scenario=week")
    assert (status, "plant.toml" in json.loads(text)["error"]) == (400, True)


async def test_a_saved_file_that_cannot_be_used_is_said(console: Served, tmp_path: Path) -> None:
    """One that somebody wrote by hand: in a line, also where the form would open it."""
    keep(tmp_path, "broken", "days = ")
    browser = await signed_in(console, OPERATOR)
    for path in (PAGE, f"{FORM}?scenario=broken"):
        status, _, page = await browser.get(path, headers={"Accept-Language": "en"})
        assert (status, "broken: not valid TOML" in page) == (200, True)
    large = "".join(f'\n[[power]]\nkind="k{n}"\nidle_w=1\nfull_w=2\nbasis="b"' for n in range(9))
    keep(tmp_path, "large", SHORT + large)
    _, _, page = await browser.get(f"{FORM}?scenario=large&lang=en")
    assert "more rows than the form takes" in page


async def test_too_long_a_form_is_refused(console: Served, tmp_path: Path) -> None:
    """In bytes and in fields; a form of another page may not be as long."""
    browser = await signed_in(console, OPERATOR)
    fields = filled((await browser.get(f"{FORM}?lang=en"))[2])
    status, _, _ = await send(browser, fields | {"name": "x" * LARGEST_FORM}, "save")
    assert status == 413
    many = {f"more-{number}": "" for number in range(1300)}
    assert (await send(browser, fields | many, "save"))[0] == 400
    long = {"form_token": "x", "token": "x" * 9000}
    assert (await browser.post("/logout", long))[0] == 413
    assert saved(tmp_path) == {}


async def test_no_page_is_heavy(console: Served, tmp_path: Path) -> None:
    """The example's answer and a form with every row it takes, with their stylesheet."""
    keep(tmp_path, "year", SCENARIO)
    browser = await signed_in(console, OPERATOR)
    _, _, sheet = await browser.get("/static/console.css")
    page = await answered(browser, f"{PAGE}?lang=en")
    assert "600 pupils" in page
    assert len(page.encode()) + len(sheet) < LARGEST_PAGE
    for code in ("fr", "en"):
        _, _, page = await browser.get(f"{FORM}?lang={code}")
        fields = filled(page)
        for name, part in LEVELS.parts.items():
            for at in range(part.most):
                fields[f"{name}-{at}-{part.fields[0]}"] = ""
                for inner, level in part.parts.items():
                    for number in range(level.most):
                        fields[f"{name}-{at}-{inner}-{number}-{level.fields[0]}"] = ""
        status, _, page = await send(browser, fields, "save", code)
        assert status == 200
        assert page.count("<fieldset") > 100
        assert len(page.encode()) + len(sheet) < LARGEST_PAGE
