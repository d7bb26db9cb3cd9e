"""``jauge-collector servers``, through the real command line, ledger and store."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli
from jauge_models.compliance.criteria import SERVER_CRITERIA
from jauge_models.compliance.status import Result

from tests.collector.compliance.yard import HOUR, SENSOR, Yard, criterion_of, write

LOGNES = Path(__file__).resolve().parents[3] / "examples" / "lognes"


def _core(record: Any, server: str) -> dict[str, tuple[str, str]]:
    """Status and reason of each criterion of a server."""
    found = next(one for one in record["assessment"]["servers"] if one["machine"]["id"] == server)
    return {
        each["criterion"]: (each["status"], each["reason"]["key"]) for each in found["criteria"]
    }


def test_one_of_each(yard: Yard) -> None:
    """Measured is demonstrated, attested declared, seen and not listed not compliant."""
    record = yard.json()
    assert yard.results() == {
        "SRV-1": "demonstrated",
        "SRV-2": "declared",
        "gw/host:SN3": "not_compliant",
    }
    assert record["headline"]["results"]["demonstrated"] == {
        "servers": 1,
        "servers_share": pytest.approx(1 / 3),
        "kwh": pytest.approx(92 * 10),
        "kwh_share": pytest.approx(920 / (920 + 460 + 65)),
        "racks": 0,
        "racks_share": 0.0,
    }
    assert record["headline"]["own_demonstrated"] == 1
    assert record["headline"]["racks_unknown"] == 1
    assert _core(record, "SRV-1")["V5"] == ("met", "electricity.measured")
    assert _core(record, "SRV-2")["V5"] == ("met_attested", "electricity.attested")
    assert _core(record, "gw/host:SN3")["V1"] == ("not_met", "inventory.unlisted")
    assert record["pue"][0]["value"] == pytest.approx(1.5)


def test_the_json_has_one_shape(yard: Yard) -> None:
    """The names that others read, and the same bytes again."""
    first, second = yard.run("--json"), yard.run("--json")
    assert first == second
    record = json.loads(first)
    assert set(record) == {
        *("site", "title", "simulated", "note", "quarter", "start", "as_of", "running"),
        *("policy_version", "policy_hash", "policy_approved", "goal_reading", "edition"),
        *("headline", "pue", "wue", "shares", "bodies", "tenants", "assessment", "trajectory"),
        *("goal_others", "goal_validated_role", "goal_validated_on", "actions"),
        *("unconfirmed", "registers", "notes", "pue_objective", "wue_objective"),
    }
    assert (record["quarter"], record["start"], record["as_of"]) == (
        "2025-Q4",
        "2025-10-01",
        "2025-12-31",
    )
    assert set(record["headline"]["results"]) == set(Result)
    assert set(record["registers"]) == {"servers", "rooms", "practices", "documents", "policy"}
    assert [goal["deadline"]["reading"] for goal in record["trajectory"]["goals"]] == [
        "strict",
        "wide",
    ]
    server = record["assessment"]["servers"][0]
    assert set(server) == {"machine", "criteria", "result", "own", "simulated"}
    assert [each["criterion"] for each in server["criteria"]] == [row.id for row in SERVER_CRITERIA]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ("PROVISOIRE", "démontré", "déclaré", "non conforme", "absent de l’inventaire")),
        ("en", ("PROVISIONAL", "demonstrated", "declared", "missing from the inventory")),
    ],
)
def test_the_text_says_what_the_record_does(
    yard: Yard, language: str, words: tuple[str, ...]
) -> None:
    """Headline, qualification, reading of the goal and a line for each server."""
    text = yard.run("--lang", language)
    for word in words:
        assert word in text
    lines = text.splitlines()
    assert len([line for line in lines if line.startswith(("SRV-1", "SRV-2", "gw/host"))]) == 3
    assert next(line for line in lines if line.startswith("SRV-2")).count("V5") == 1
    assert any("V1, V3, V4, V5" in line for line in lines)
    assert any("Code de conduite européen (JRC)" in line for line in lines)


@pytest.mark.parametrize(
    ("language", "told"),
    [("fr", "Aucun serveur n’est à l’inventaire"), ("en", "No server is listed")],
)
def test_an_empty_inventory_is_said_to_be_empty(yard: Yard, language: str, told: str) -> None:
    """Machines that were seen count; a share of what nobody listed is no figure of its own."""
    assert told not in yard.run("--lang", language)
    names = (yard.folder / "servers.csv").read_text(encoding="utf-8").splitlines()[0]
    (yard.folder / "servers.csv").write_text(f"{names}\n", encoding="utf-8")
    shown = yard.run("--lang", language)
    assert told in shown
    assert "V1, V3, V4, V5" not in shown


def test_a_signed_value_needs_its_second_person(yard: Yard) -> None:
    """By the default policy nothing counts that one person alone signed for; it is said."""
    yard.edit("policy.toml", "two_people = []", "")
    assert yard.results()["SRV-2"] == "not_demonstrated"
    assert yard.json()["unconfirmed"] == 1
    assert "sans seconde personne" in yard.run()


def test_an_operators_total_is_declared_not_demonstrated(yard: Yard) -> None:
    """A signed E_DC passes as attested; the figure without it stands beside the published one."""
    yard.edit("yard.toml", '[{ meter = "dc" }]', '[{ meter = "outlet2" }]')
    record = yard.json()
    sites = record["assessment"]["sites"]["yard"]
    assert criterion_of(sites, "S3")["status"] == "met_attested"
    assert criterion_of(sites, "S4")["status"] == "met_attested"
    assert [kpi["attested_share"] for kpi in record["pue"]] == [1.0, 0.0]
    assert yard.results()["SRV-1"] == "declared"


def test_nothing_measured_is_not_demonstrated(yard: Yard) -> None:
    """Without readings of the rack nothing is known of its air, and nothing passes by it."""
    yard.edit("rooms.csv", SENSOR, "gw/sensor:nobody")
    assert yard.status("S7") == ("not_measured", "hours.none")
    assert yard.status("S8") == ("not_measured", "hours.none")
    assert _core(yard.json(), "SRV-1")["V4"] == ("not_measured", "hours.none")
    assert yard.results()["SRV-1"] == "not_demonstrated"
    assert "aucune heure d’air d’entrée mesurée" in yard.run()


def test_what_blocks_at_the_site_is_named_for_its_servers(yard: Yard) -> None:
    """« Hosted in a site that qualifies » would leave a reader with nothing to do."""
    yard.edit("documents.csv", "participant_certificate", "other")
    record = yard.json()
    assert yard.results()["SRV-1"] == "not_demonstrated"
    assert record["headline"]["own_demonstrated"] == 1
    assert [each["criterion"] for each in record["shares"]["blocking"]] == ["S1a"]
    line = next(one for one in yard.run().splitlines() if one.startswith("SRV-1"))
    assert "S1a Participant\u202f: non mesuré" in line


def test_a_row_of_racks_without_a_sensor_is_named(yard: Yard) -> None:
    """Also one that only the inventory knows."""
    yard.edit("servers.csv", "SRV-2;SN2;R;1;A1", "SRV-2;SN2;R;2;B1")
    assert yard.status("S7") == ("not_measured", "intake.rows_without_sensor")
    assert "R / 2" in yard.run()


def test_each_server_takes_in_what_its_own_rack_does(yard: Yard) -> None:
    """A warm rack fails its servers; beside it the others pass."""
    asyncio.run(write(yard.folder, "gw/sensor:warm", ((at * HOUR, 40.0) for at in range(8761))))
    yard.edit("rooms.csv", "R;1;A1", "R;1;B1;gw/sensor:warm\nR;1;A1")
    yard.edit("servers.csv", "SRV-2;SN2;R;1;A1", "SRV-2;SN2;R;1;B1")
    record = yard.json()
    assert _core(record, "SRV-1")["V4"] == ("met", "hours.within")
    assert _core(record, "SRV-2")["V4"] == ("not_met", "hours.beyond")
    assert yard.status("S7") == ("not_met", "hours.beyond")


def test_a_listed_machine_is_found_by_its_serial(yard: Yard) -> None:
    """It was seen, is listed, and counts once; its own feed then gives no electricity."""
    row = "SRV-3;SN3;R;1;A1;o;u;A2;2024-01-01;\n"
    yard.edit("servers.csv", "SRV-2;", f"{row}SRV-2;")
    assert sorted(yard.results()) == ["SRV-1", "SRV-2", "SRV-3"]
    assert _core(yard.json(), "SRV-3")["V5"] == ("not_measured", "electricity.none")


def test_what_stands_elsewhere_is_judged_there(yard: Yard) -> None:
    """A register of two sites: each has its own servers and removals, and nothing counts twice."""
    yard.edit("servers.csv", "id;serial", "site;valid_to;removal;id;serial")
    yard.edit("servers.csv", "SRV-", ";;;SRV-")
    elsewhere = (
        "far;;;SRV-8;SN3;R;1;A1;o;u;A2;2024-01-01;\nfar;2025-11-01;sold;SRV-9;SN9;R;1;A1;o;u;;;\n"
    )
    gone = ";2025-11-01;sold;SRV-7;SN7;R;1;A1;o;u;;;\n"
    yard.edit("servers.csv", ";;;SRV-1", f"{elsewhere}{gone};;;SRV-1")
    record = yard.json()
    assert yard.results() == {"SRV-1": "demonstrated", "SRV-2": "declared"}
    assert [each["server"] for each in record["assessment"]["removals"]] == ["SRV-7"]
    assert "Retiré\u202f: SRV-7" in yard.run()


def test_wrong_registers_are_told_line_by_line(yard: Yard) -> None:
    """Every problem of every register, exit 2."""
    yard.edit("servers.csv", "A2;2024-01-01;gw/outlet:2", "A9;2024-01-01;gw/outlet:2")
    yard.edit("rooms.csv", SENSOR, "no feed")
    told = yard.run(code=2).splitlines()
    assert len(told) >= 2
    assert all(line.startswith("jauge-collector: ") for line in told)
    assert any("servers.csv: line 3" in line for line in told)
    assert any("rooms.csv: line 2" in line for line in told)


@pytest.mark.parametrize("quarter", ["2025-Q5", "2025", "2990-Q1"])
def test_what_is_no_quarter_is_refused(yard: Yard, quarter: str) -> None:
    """One line, exit 2; also one that has not begun."""
    (line,) = yard.run("--quarter", quarter, code=2).splitlines()
    assert line.startswith("jauge-collector: --quarter")


def test_the_example_demonstrates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Registers without a single measurement, and no zero where an energy is not known."""
    config = tmp_path / "collector.toml"
    config.write_text(f'sites = ["{LOGNES}/site.toml"]\nstate_dir = "."\n', encoding="utf-8")
    asked = ["servers", "--site", "lognes", "--config", str(config), "--quarter", "2026-Q2"]
    assert cli.main([*asked, "--json"]) == 0
    head = json.loads(capsys.readouterr().out)["headline"]
    assert head["total"] == 3
    assert head["results"]["demonstrated"]["servers"] == 0
    known = [share["kwh"] for share in head["results"].values() if share["servers"]]
    assert set(known) == {None}
    assert cli.main(asked) == 0
    assert "EXEMPLE-3" in capsys.readouterr().out
