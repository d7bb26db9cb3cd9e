"""The JSON interface: real answers against its own OpenAPI document, and against the command."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jsonschema
import msgspec
import pytest
from aiohttp import web
from jauge_collector import cli
from jauge_collector.console import api
from jauge_collector.console.app import build_app
from jauge_collector.service import Service

from tests.collector.console.serving import (
    DAYS,
    STEPS,
    Served,
    configuration,
    introduce,
    serving,
)

TODAY = datetime.now(UTC).date()
SPAN = urlencode({"site": "s", "from": str(TODAY - timedelta(days=60)), "to": str(TODAY)})


async def answered(console: Served, path: str) -> Any:
    """The JSON of an answer that is well."""
    status, headers, text = await console.get(api.ROOT + path)
    assert status == 200, text
    assert headers["Content-Type"] == "application/json"
    return json.loads(text)


def checked(document: Any, path: str, answer: Any) -> None:
    """Hold an answer against the document's schema of its address, refusing unknown fields."""
    told = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    closed = json.loads(json.dumps(document["components"]))
    for schema in closed["schemas"].values():
        if schema.get("type") == "object" and "properties" in schema:
            schema["additionalProperties"] = False
    jsonschema.validate(
        answer,
        {**told["schema"], "components": closed},
        cls=jsonschema.Draft202012Validator,
    )


async def test_every_answer_fits_the_document(tmp_path: Path) -> None:
    """Filled answers of every endpoint validate, and an answer that lacks a field does not."""
    async with serving(configuration(tmp_path), days=DAYS) as console:
        introduce(console.state)
        document = await answered(console, "/openapi.json")
        for path, query in (
            ("/sites", ""),
            ("/kpi", f"?{SPAN}"),
            ("/agents", ""),
            ("/agents", "?site=s"),
            ("/meters", "?site=s"),
        ):
            answer = await answered(console, path + query)
            checked(document, path, answer)
            (key, *_) = answer
            del answer[key]
            with pytest.raises(jsonschema.ValidationError):
                checked(document, path, answer)


def test_the_document_and_the_routes_name_the_same_addresses(tmp_path: Path) -> None:
    """Every route below /api is described, and nothing else is."""
    service = Service(configuration(tmp_path))
    app = build_app(service.state)
    service.state.ledger.close()
    routes = {
        route.resource.canonical
        for route in app.router.routes()
        if isinstance(route.resource, web.PlainResource)
        and route.resource.canonical.startswith("/api")
    }
    document = api.document()
    assert routes == {document["servers"][0]["url"] + path for path in document["paths"]}
    assert document["openapi"].startswith("3.1.")
    references = set(json.dumps(document).split('"#/components/schemas/')[1:])
    named = {reference.partition('"')[0] for reference in references}
    assert named <= set(document["components"]["schemas"])


async def test_kpi_answers_what_the_command_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same period, same object, down to the last digit; the PUE is the one worked out by hand."""
    async with serving(configuration(tmp_path), days=DAYS) as console:
        told = await answered(console, f"/kpi?{SPAN}")
    begin, end = str(TODAY - timedelta(days=60)), str(TODAY)
    options = ["--site", "s", "--from", begin, "--to", end, "--json"]
    file = str(tmp_path / "collector.toml")
    assert await asyncio.to_thread(cli.main, ["kpi", *options, "--config", file]) == 0
    assert told == json.loads(capsys.readouterr().out)
    assert told["pue"]["value"] == pytest.approx(1.2)
    assert told["wue"]["value"] == pytest.approx(0.5)
    assert told["ref"]["value"] is None
    assert told["ref"]["reason"]


async def test_agents_and_meters_tell_age_and_quality(tmp_path: Path) -> None:
    """A meter's newest reading and coverages; one that nothing reads has none, and counts not."""
    async with serving(configuration(tmp_path), days=DAYS) as console:
        assert (await answered(console, "/agents"))["agents"] == []
        introduce(console.state)
        (agent,) = (await answered(console, "/agents?site=s"))["agents"]
        assert agent["agent"] == "plant"
        assert agent["presence"] == "online"
        assert [s["absent"] for s in agent["sources"]] == [None, "no device"]
        meters = {m["meter"]: m for m in (await answered(console, "/meters"))["meters"]}
        (site,) = (await answered(console, "/sites"))["sites"]
    assert list(meters) == [*STEPS, "spare"]
    assert meters["ups"]["last_reading"]["unit"] == "J"
    assert meters["ups"]["grade"] == "high"
    assert meters["ups"]["coverage_day"] > 0.9
    assert meters["ups"]["coverage_month"] > 0
    assert meters["spare"]["last_reading"] is None
    assert meters["spare"]["coverage_day"] == 0
    assert meters["spare"]["counts_from_ms"] is None
    assert (site["site"], site["meters"], site["agents"]) == ("s", 4, 1)


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("/kpi?site=s&from=2026-01-01", 400, "'to' is missing"),
        ("/kpi?from=2026-01-01&to=2026-02-01", 400, "'site' is missing"),
        ("/kpi?site=none&from=2026-01-01&to=2026-02-01", 404, "no site 'none'; known are s"),
        ("/kpi?site=s&from=31/01/2026&to=2026-02-01", 400, "is no date"),
        ("/kpi?site=s&from=2026-02-01&to=2026-02-01", 400, "ends before it begins"),
        ("/kpi?site=s&from=2026-01-01&to=9999-12-31", 400, ""),
        ("/kpi?site=s&from=0001-01-01&to=2026-01-01T00:00%2B14:00", 400, "outside the years"),
        ("/kpi?site=s&from=2026-01-01&to=2026-02-01&x=1", 400, "no parameter 'x'"),
        ("/kpi?site=s&site=s&from=2026-01-01&to=2026-02-01", 400, "given twice"),
        ("/agents?site=none", 404, "no site"),
        ("/meters?site=%0A", 404, "no site"),
        ("/sites?site=s", 400, "no parameter"),
    ],
)
async def test_a_bad_question_gets_one_line(
    tmp_path: Path, query: str, status: int, says: str
) -> None:
    """Unknown sites are 404, unusable parameters 400, and the line names which."""
    async with serving(configuration(tmp_path)) as console:
        told, _, text = await console.get(api.ROOT + query)
        assert told == status, text
        if status >= 400:
            problem = msgspec.json.decode(text, type=api.Problem)
            assert says in problem.error
            assert "\n" not in problem.error
