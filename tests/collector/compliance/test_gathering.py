"""What ledger and store prove: coverage, electricity, intake and machines that were seen."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, date

import pytest
from jauge_collector import sites
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.electricity import NOTHING, MachineEnergy
from jauge_collector.compliance.metering import metered_site
from jauge_collector.compliance.sightings import sightings
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_collector.registers.files import Registers
from jauge_collector.registers.rooms import Place
from jauge_collector.registers.servers import Server
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.boundaries import Place as Metering
from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import Intake, SiteEvidence
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import CLASSES
from jauge_models.compliance.windows import Window
from jauge_models.intervals import Basis
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Method, ResourceDescription

from tests.collector.compliance.yard import (
    DAY,
    END,
    HOUR,
    KWH,
    START,
    Yard,
    attest,
    days,
    keep,
    write,
)

YEAR = Window(date(2025, 1, 1), date(2025, 12, 31))
QUARTER = Window(date(2025, 10, 1), date(2025, 12, 31))
A2 = next(row for row in CLASSES if row.name == "A2")
GAP = HOUR


@pytest.fixture
def ledger(yard: Yard) -> Iterator[Ledger]:
    """That of the built site."""
    with Ledger(yard.folder / "ledger.db") as opened:
        yield opened


@pytest.fixture
def energy(yard: Yard, ledger: Ledger) -> MachineEnergy:
    """Electricity of its machines."""
    return MachineEnergy(ledger, sites.load(yard.folder / "yard.toml"))


def _store(yard: Yard) -> SqliteStore:
    return SqliteStore(yard.folder / "readings.db", retention_days=20000)


def _evidence(yard: Yard, ledger: Ledger) -> SiteEvidence:
    site = sites.load(yard.folder / "yard.toml")
    file = yard.folder / "ledger.db"
    sources = Sources(site, Registers(), ledger, file, _store(yard))
    return metered_site(SiteEvidence(site="yard"), sources, YEAR, Policy().coverage)


# --- totals


def test_the_joint_coverage_is_what_both_totals_have(yard: Yard, ledger: Ledger) -> None:
    """A hole of one total and another of the other are two holes of both."""
    keep(ledger, "dc", days(0, 0, 73, basis=Basis.ESTIMATE))
    keep(ledger, "it", days(0, 292, 365, basis=Basis.ESTIMATE))
    found = _evidence(yard, ledger)
    assert found.e_dc.measured.whole.share == pytest.approx(292 / 365)
    assert found.e_it.measured.whole.share == pytest.approx(292 / 365)
    assert found.joint.measured.whole.share == pytest.approx(219 / 365)
    assert found.e_dc.measured.first_day == date(2025, 3, 15)
    assert found.e_dc.measured.since_start.share == pytest.approx(1)


def test_signed_amounts_stand_apart(yard: Yard, ledger: Ledger) -> None:
    """They fill a hole in the second coverage alone, and the figure without them is there too."""
    with ledger.transaction(writes=True) as connection:
        connection.exec_driver_sql(
            "DELETE FROM intervals WHERE start_ms >= ? AND subject ="
            " (SELECT id FROM subjects WHERE name = 'dc')",
            (START + 181 * DAY,),
        )
    attest(ledger, "dc", 184 * 150 * KWH, START + 181 * DAY)
    found = _evidence(yard, ledger)
    assert found.e_dc.measured.whole.share == pytest.approx(181 / 365)
    assert found.e_dc.with_attested.whole.share == pytest.approx(1)
    published, without = found.pue
    assert published.value == pytest.approx(1.5)
    assert published.attested_share == pytest.approx(184 / 365)
    assert without.value is None
    assert without.coverage == pytest.approx(181 / 365)


def test_the_total_that_is_in_a_category_is_judged(yard: Yard, ledger: Ledger) -> None:
    """A first one without a category does not hide a second one; both figures are there."""
    of_it = '[[equations]]\nsymbol = "E_IT"\nplace = "pdu_output"\nterms = [{ meter = "it" }]\n'
    other = of_it.replace("pdu_output", "ups_input").replace('"it"', '"dc"')
    yard.edit("yard.toml", of_it, other + of_it)
    found = _evidence(yard, ledger)
    assert found.e_it_place is Metering.PDU_OUTPUT
    assert found.e_it.meters == ("it",)
    assert [kpi.category for kpi in found.pue] == [None, "PUE2"]


# --- electricity


def test_the_best_feed_of_each_hour_counts_once(energy: MachineEnergy, ledger: Ledger) -> None:
    """A machine that two feeds read has the energy of one; an estimate fills no hole."""
    keep(ledger, "gw/host:SN9", days(2 * KWH, 0, 300))
    keep(ledger, "bmc/host:SN9", days(3 * KWH, 100, 200))
    keep(ledger, "vc/host:SN9", days(9 * KWH, basis=Basis.ESTIMATE))
    feeds = ["vc/host:SN9", "gw/host:SN9", "bmc/host:SN9"]
    found, kwh = energy.known(feeds, YEAR, YEAR)
    assert found is not None
    assert found.measured == pytest.approx(300 / 365)
    assert found.attested == 0
    assert found.estimated == pytest.approx(65 / 365)
    assert kwh == pytest.approx(300 * 2)
    assert energy.known(feeds, YEAR, QUARTER).energy_kwh == pytest.approx(27 * 2)
    assert energy.known(["vc/host:SN9"], YEAR, YEAR).energy_kwh is None
    assert energy.known(["gw/host:nobody"], YEAR, YEAR) == NOTHING


def test_a_late_meter_is_told_from_a_bad_one(energy: MachineEnergy, ledger: Ledger) -> None:
    """The share since its first day stands beside that of the whole window."""
    keep(ledger, "gw/host:SN9", days(KWH, 200))
    found = energy.known(["gw/host:SN9"], YEAR, YEAR).electricity
    assert found is not None
    assert found.measured == pytest.approx(165 / 365)
    assert found.first_day == date(2025, 7, 20)
    assert found.since_first == pytest.approx(1)


# --- intake


def _air(
    yard: Yard, sensors: Iterable[str], stays: Iterable[air.Stay], window: Window = YEAR
) -> Intake:
    async def read() -> dict[str, air.Hours]:
        async with _store(yard) as store:
            return await air.read(store, "yard", sensors, (START, END), GAP)

    hours = asyncio.run(read())
    return air.intake("place", list(stays), hours, A2, window=window, zone=UTC)


def test_only_what_readings_enclose_is_measured(yard: Yard) -> None:
    """A hole longer than the gap is no hour; the last hour ends with the next reading."""
    points = [(0, 20.0), (HOUR, 20.0), (5 * HOUR, 20.0), (6 * HOUR, 20.0)]
    asyncio.run(write(yard.folder, "gw/sensor:x", points))
    found = _air(yard, ["gw/sensor:x"], [air.Stay(None, None, ("gw/sensor:x",))])
    assert found.measured is not None
    assert found.measured.within_ms == 2 * HOUR
    assert found.measured.unmeasured_ms == 365 * DAY - 2 * HOUR
    assert found.sensors == ("gw/sensor:x",)


def test_hours_are_means_and_fall_into_bands(yard: Yard) -> None:
    """Of the line between readings: half an hour at 26 and half at 30 is an hour at 28, above."""
    half = HOUR // 2
    points = [(0, 26.0), (half, 26.0), (half + 1, 30.0), (HOUR, 30.0), (2 * HOUR, 42.0)]
    asyncio.run(write(yard.folder, "gw/sensor:x", points))
    found = _air(yard, ["gw/sensor:x"], [air.Stay(None, None, ("gw/sensor:x",))])
    assert found.measured is not None
    assert (found.measured.above_ms, found.measured.beyond_ms) == (HOUR, HOUR)


def test_the_worst_sensor_of_a_place_counts(yard: Yard) -> None:
    """Cold or warm, whichever lies farther out; a dead one takes no hour away."""
    asyncio.run(write(yard.folder, "gw/sensor:x", [(0, 30.0), (HOUR, 30.0)]))
    asyncio.run(write(yard.folder, "gw/sensor:y", [(0, 8.0), (HOUR, 8.0), (2 * HOUR, 8.0)]))
    sensors = ("gw/sensor:in-1", "gw/sensor:x", "gw/sensor:y", "gw/sensor:dead")
    found = _air(yard, sensors, [air.Stay(None, None, sensors)])
    assert found.measured is not None
    assert found.measured.under_ms == 2 * HOUR
    assert found.measured.within_ms == 365 * DAY - 2 * HOUR


def test_a_sensor_counts_for_a_place_while_it_is_there(yard: Yard) -> None:
    """Until it moved; a commissioning late in the year has a window of its own."""
    sensor = ("gw/sensor:in-1",)
    stays = [air.Stay(None, date(2025, 2, 1), sensor)]
    found = _air(yard, sensor, stays)
    assert found.measured is not None
    assert found.measured.measured_ms == 31 * DAY
    assert found.sensors == ()
    late = Window(date(2025, 12, 1), date(2025, 12, 31))
    assert _air(yard, sensor, stays, late).measured is None
    whole = _air(yard, sensor, [air.Stay(date(2025, 1, 1), None, sensor)], late)
    assert whole.measured is not None
    assert (whole.measured.period_ms, whole.measured.unmeasured_ms) == (31 * DAY, 0)


def _place(row: str = "", rack: str = "", *sensors: str) -> Place:
    return Place(line=2, room="R", row=row, rack=rack, intake=sensors)


def test_a_server_breathes_what_its_rack_does() -> None:
    """Its rack's sensors, else its row's, else the room's; never those of another rack."""
    rack, row, room = (
        _place("1", "A1", "a/sensor:1"),
        _place("1", "", "a/sensor:2"),
        _place("", "", "a/sensor:3"),
    )
    server = Server(line=2, id="S", room="R", row="1", rack="A1")

    def sensors(*places: Place) -> list[str]:
        stays = air.stays_of([server], Registers(rooms=places), "yard")
        return [sensor for stay in stays for sensor in stay.sensors]

    assert sensors(rack, row, room) == ["a/sensor:1"]
    assert sensors(_place("1", "A1"), row, room) == ["a/sensor:2"]
    assert sensors(_place("1", "A2", "a/sensor:9"), room) == ["a/sensor:3"]
    assert sensors(_place("1", "A2", "a/sensor:9")) == []


# --- machines seen


def _seen(yard: Yard, ledger: Ledger, window: Window = QUARTER) -> dict[str, date]:
    async def found() -> dict[str, date]:
        site = sites.load(yard.folder / "yard.toml")
        async with _store(yard) as store:
            sources = Sources(site, Registers(), ledger, yard.folder / "ledger.db", store)
            seen = await sightings(sources, window, Inventory(), MachineEnergy(ledger, site))
        return {each.id: each.last_seen for each in seen}

    return asyncio.run(found())


def test_who_was_seen_in_a_quarter(yard: Yard, ledger: Ledger) -> None:
    """By a birth, a reading or a row within it; a virtual machine is no server."""
    fresh, gone = (Series("yard", "vc", f"host:{id_}", "cpu_utilisation") for id_ in ("f", "g"))

    async def add() -> None:
        async with _store(yard) as store:
            await store.write([Reading(fresh, START + 300 * DAY, 0.1)])
            await store.write([Reading(gone, START + 30 * DAY, 0.1)])

    asyncio.run(add())
    told = {"host:t": ResourceDescription("host:t", {"power": Method.GAUGE})}
    ledger.set_descriptions("yard", "vc", described(told), START + 310 * DAY)
    assert _seen(yard, ledger) == {
        "gw/host:SN1": date(2025, 12, 31),
        "gw/host:SN3": date(2025, 12, 31),
        "vc/host:f": date(2025, 10, 28),
        "vc/host:t": date(2025, 11, 7),
    }
    earlier = Window(date(2025, 4, 1), date(2025, 6, 30))
    assert set(_seen(yard, ledger, earlier)) == {"gw/host:SN1"}


@pytest.mark.parametrize(
    ("label", "text", "known"),
    [
        ("serial", "sn2", True),
        ("asset_tag", "SRV-2", True),
        ("uuid", "4c4c4544-0051-4210-8052-b2c04f5a3532", True),
        ("serial", "SN-OTHER", False),
        ("asset_tag", "SRV-9", False),
        ("uuid", "4c4c4544-0051-4210-8052-b2c04f5a3533", False),
    ],
)
def test_a_machine_is_known_by_what_its_firmware_tells(
    yard: Yard, label: str, text: str, known: bool
) -> None:
    """An agent's host of no known feed: its serial number, UUID or asset tag is a server's."""
    listed = "bmc/host:4c4c4544-0051-4210-8052-b2c04f5a3532"
    yard.edit("servers.csv", "gw/outlet:2\n", f"gw/outlet:2 {listed}\n")
    birth = {"host": ResourceDescription("host", {"power": Method.GAUGE}, labels={label: text})}
    with Ledger(yard.folder / "ledger.db") as opened:
        opened.set_descriptions("yard", "srv", described(birth), START + 290 * DAY)
    assert ("srv/host" in yard.results()) is not known


EXEMPTIONS = """\
subject;criterion;justification;day;signatory;confirmed_by
yard;S9;an example;2025-06-01;officer;
yard;S10;an example;2025-06-01;officer;
yard;S13;an example;2025-06-01;officer;
yard;S14;an example;2025-06-01;officer;
yard;S15;an example;2025-06-01;officer;
SRV-1;V9;an example;2025-06-01;officer;
"""


def test_what_does_not_apply_hides_no_failure(yard: Yard) -> None:
    """Where nothing is gathered a written exemption stands; the meters' register fails openly."""
    (yard.folder / "exemptions.csv").write_text(EXEMPTIONS, encoding="utf-8")
    yard.edit("yard.toml", "[registers]\n", '[registers]\nexemptions = "exemptions.csv"\n')
    for criterion in ("S9", "S10", "S13", "S15"):
        assert yard.status(criterion) == ("not_applicable", "exempt")
    assert yard.status("S14") == ("not_met", "register.incomplete")
    assert yard.server_status("SRV-1", "V9")[0] == "not_applicable"
