"""From registers to what the evaluation of the compliance record takes."""

import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from jauge_collector.registers.evidence import completed, limits
from jauge_collector.registers.files import Registers, RegistersSection, load
from jauge_collector.registers.listing import keys_of, keys_seen, listing
from jauge_collector.registers.problems import RegisterError
from jauge_collector.registers.servers import Server
from jauge_models.compliance.denominator import denominator
from jauge_models.compliance.evidence import (
    Attestation,
    Document,
    Effect,
    Field,
    Participation,
    PracticeStatus,
    Refrigerant,
    ReportingKind,
    Sighting,
    SiteEvidence,
)
from jauge_models.compliance.policy import Placement, Policy
from jauge_models.compliance.results import assess
from jauge_models.compliance.status import Result, Status
from jauge_models.compliance.windows import Window
from jauge_models.configuration import convert
from jauge_models.rules import RuleStatus

DAY = date(2026, 6, 30)
QUARTER = Window(date(2026, 4, 1), DAY)
LOGNES = Path(__file__).resolve().parents[3] / "examples" / "lognes"
UUID = "4c4c4544-0051-3510-8052-b4c04f4a4d31"
Read = Callable[..., Registers]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Registers of a site out of texts; documents all lie in one file."""
    (tmp_path / "d.pdf").write_bytes(b"an example")

    def entered(site: str = "paris", **texts: str) -> Registers:
        for name, text in texts.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return load(RegistersSection(**dict(zip(texts, texts, strict=True))), tmp_path, site)

    return entered


HEAD = "id;title;file;kind;date;valid_to;subject;role;statement;year;confirmed_by\n"


def documents(*rows: str) -> str:
    """A register of documents; each row without title and file."""
    cells = (row.split(";", 1) for row in rows)
    return HEAD + "".join(f"{id_};t;d.pdf;{rest}\n" for id_, rest in cells)


def proved(read: Read, *rows: str, day: date = DAY) -> SiteEvidence:
    """What documents prove of the site."""
    return completed(SiteEvidence(site="paris"), read(documents=documents(*rows)), day)


def test_a_site_without_registers_proves_nothing() -> None:
    """Every member stays unknown; none becomes a no."""
    assert completed(SiteEvidence(site="paris"), Registers(), DAY) == SiteEvidence(site="paris")


def test_participation(read: Read) -> None:
    """An endorser is no participant; one that ended is none; without any, nothing is known."""
    endorser = "D-1;endorser_certificate;2025-01-01;;;;;;"
    participant = "D-2;participant_certificate;2026-01-01;2027-01-01;paris;;;;"
    elsewhere = participant.replace("paris", "lyon")
    assert proved(read, endorser).participation is Participation.ENDORSER
    both = proved(read, endorser, participant)
    assert both.participation is Participation.PARTICIPANT
    assert both.certificate is not None
    assert both.certificate.id == "D-2"
    assert proved(read, elsewhere).participation is None
    assert proved(read, participant, day=date(2025, 12, 31)).participation is None
    assert proved(read, participant, day=date(2027, 1, 1)).participation is Participation.NONE


def test_documents_of_a_later_day_prove_nothing_yet(read: Read) -> None:
    """An earlier quarter is evaluated as it stood; what has ended counts no more."""
    rows = ("D-2;annual_return;2026-03-01;;;;;;", "D-1;annual_return;2025-03-01;2026-06-01;;;;;")
    now, then = proved(read, *rows), proved(read, *rows, day=date(2026, 4, 1))
    before = proved(read, *rows, day=date(2026, 2, 28))
    assert [one.id for one in now.annual_returns] == ["D-2"]
    assert [one.id for one in then.annual_returns] == ["D-1", "D-2"]
    assert [one.id for one in before.annual_returns] == ["D-1"]


def test_what_else_documents_prove(read: Read) -> None:
    """Reviews, statements and legal reports, with who signed and who confirmed."""
    found = proved(
        read,
        "R-1;set_point_review;2026-01-15;;paris;exploitant;humidity of the tapes;;",
        "L-1;set_point_log;2026-01-16;;;;;;",
        "V-1;verification_report;2025-05-01;;;;;;",
        "W-1;dry_statement;2026-01-01;;paris;exploitant;;;direction",
        "N-1;no_taxonomy_claim;2026-01-02;;paris;officer;no claim is made;;direction",
        "B-1;below_threshold;2025-01-01;;;;;;",
        "Y-1;legal_report;2026-05-10;;;;;2025;",
    )
    (review,), (verification,) = found.reviews, found.verifications
    assert (review.document.id, review.why_not) == ("R-1", "humidity of the tapes")
    assert verification.id == "V-1"
    assert found.set_point == "L-1"
    assert found.dry == Attestation(
        document=Document("W-1", date(2026, 1, 1), verification.sha256),
        signatory="exploitant",
        confirmed_by="direction",
    )
    assert not found.taxonomy_claim
    assert found.no_claim is not None
    assert (found.no_claim.justification, found.no_claim.name) == ("no claim is made", "officer")
    assert found.reporting is not None
    assert (found.reporting.kind, found.reporting.year) == (ReportingKind.DONE, 2025)


def test_practices_of_the_edition_that_the_policy_names(read: Read) -> None:
    """As they stood on the day; in force only with the officer's edition and page."""
    text = (
        "edition;number;title;category;domain;topic;certainty;page;status;control;valid_from;valid_to\n"
        "E;1;t;entire_data_centre;water|electricity;;text;4;endorsed;operator;;\n"
        "E;2;t;optional;other;idle_equipment;memory;;;;;\n"
        "E;3;t;entire_data_centre;water;;text;5;implemented;;2026-07-01;\n"
        "F;1;t;entire_data_centre;water;;text;4;implemented;;;\n"
    )
    policy = 'version = "1"\n[goal]\nedition = "E"\nnext_edition_published = 2026-05-01\n'
    register = completed(
        SiteEvidence(site="paris"), read(practices=text, policy=policy), DAY
    ).practices
    assert register is not None
    assert (register.edition, register.next_published) == ("E", date(2026, 5, 1))
    first, second = register.rows
    assert (first.number, first.entire, first.in_control) == ("1", True, "operator")
    assert first.fields == {Field.WATER, Field.ELECTRICITY}
    assert first.status is PracticeStatus.ENDORSED
    assert (second.entire, second.fields, second.topic) == (False, frozenset(), "idle_equipment")
    assert [row.status_of_text for row in register.rows] == [
        RuleStatus.IN_FORCE,
        RuleStatus.MEMORY,
    ]
    assert completed(SiteEvidence(site="paris"), read(practices=text), DAY).practices is None
    before = completed(
        SiteEvidence(site="paris"), read(practices=text, policy=policy), date(2026, 4, 30)
    ).practices
    assert before is not None
    assert before.next_published is None


def test_refrigerants_exemptions_actions(read: Read) -> None:
    """Of the site and the day; a potential from memory is not known."""
    registers = read(
        refrigerants=(
            "site;name;gwp;source;valid_to\n;R-A;600;label;\nparis;R-B;;;\nparis;R-C;;;\n"
            "lyon;R-D;;;\nparis;R-E;;;2026-06-30\n"
        ),
        factors=(
            "kind;subject;value;unit;source;certainty\n"
            "refrigerant;R-B;675;1;s;text\nrefrigerant;R-C;1430;1;s;memory\n"
        ),
        exemptions=(
            "subject;criterion;justification;day;signatory\nparis;S11;j;2026-06-30;officer\n"
            "paris;S12;j;2026-07-01;officer\nlyon;S9;j;2026-01-01;officer\n"
        ),
        actions="subject;criterion;day;owner;effect\nparis;S4;2026-09-01;o;after_twelve_months\n",
    )
    found = completed(SiteEvidence(site="paris"), registers, DAY)
    assert found.refrigerants == (
        Refrigerant("R-A", 600.0),
        Refrigerant("R-B", 675.0),
        Refrigerant("R-C", None),
    )
    assert [one.criterion for one in found.exemptions] == ["S11"]
    assert [(one.criterion, one.effect) for one in found.actions] == [
        ("S4", Effect.AFTER_TWELVE_MONTHS)
    ]


def test_the_policy_of_a_site(read: Read) -> None:
    """The file's, or the defaults where it names none."""
    assert limits(read(policy='version = "1"\n[site]\nreport_days = 90\n')).report_days == 90
    assert limits(Registers()) == Policy()


SERVERS = f"""\
id;room;rack;serial;kind;nodes;chassis;owner;used_by;envelope;envelope_document;feeds;valid_from;\
valid_to;removal;power_management;idle_note;idle_note_day
A;R;1;SN-A;;;;o;Région | Ville;A2;;srv-a/host vc/host:{UUID.upper()};2025-01-01;2026-03-01;moved;;;
A;R;2;SN-A;;;;o;Région | Ville;A2;;srv-a/host vc/host:{UUID};2026-03-01;;;on;spare;2026-01-01
B;R;1;SN-B;school;;;o;u;10..35;D-1;pdu/outlet:1;2025-01-01;2026-05-01;sold;;;
C;R;1;SN-C;hypervisor;;;o;u;water 17..45;D-1;pdu/outlet:1;2026-05-01;;;;;
X;R;3;SN-X;;4;;o;u;;;;;;;;;
X1;R;3;SN-X1;;;X;o;u;;;;;;;;;
V;;;;cloud;;;o;u;;;;;;;;;
"""
ENVELOPE = documents("D-1;envelope;2024-01-01;;;maker;;;")


def test_servers_of_a_day(read: Read) -> None:
    """A move is one life; what is gone keeps its end and reason; chassis and cloud stand apart."""
    found = listing([read(servers=SERVERS, documents=ENVELOPE)], DAY)
    by_id = {server.id: server for server in found.inventory.servers}
    assert sorted(by_id) == ["A", "B", "C", "X1"]
    assert [one.service for one in found.clouds] == ["V"]
    assert [(one.id, one.nodes, one.site) for one in found.inventory.chassis] == [("X", 4, "paris")]
    a, b, c = by_id["A"], by_id["B"], by_id["C"]
    assert (a.rack, a.valid_from, a.valid_to, a.site) == ("2", date(2025, 1, 1), None, "paris")
    assert (a.placement, a.used_by) == (Placement.SHARED_HOST, "Région | Ville")
    assert a.removal_reason == ""
    assert a.power_management is not None
    assert (a.power_management.on, a.power_management.attested) == (True, True)
    assert a.owners_note is not None
    assert (a.owners_note.text, a.owners_note.name) == ("spare", "o")
    assert (b.valid_to, b.removal_reason, b.placement) == (
        date(2026, 5, 1),
        "sold",
        Placement.SCHOOL,
    )
    assert b.keys.isdisjoint(c.keys)
    assert b.envelope is not None
    assert b.envelope.own is not None
    assert (b.envelope.own.allowable, b.envelope.own.recommended) == ((10, 35), (18, 27))
    assert c.envelope is not None
    assert c.envelope.own is not None
    assert (c.envelope.own.liquid, c.envelope.own.recommended) == (True, (17, 45))
    assert a.envelope is not None
    assert (a.envelope.name, a.envelope.own) == ("A2", None)


def test_an_earlier_day_is_as_it_stood(read: Read) -> None:
    """Where a machine stood then, and what had its outlet."""
    found = listing([read(servers=SERVERS, documents=ENVELOPE)], date(2026, 2, 1))
    by_id = {server.id: server for server in found.inventory.servers}
    assert by_id["A"].rack == "1"
    assert "feed:pdu/outlet:1" in by_id["B"].keys


def test_what_was_seen_finds_its_row(read: Read) -> None:
    """By feed, serial number or UUID; a node of another cluster with a listed name does not."""
    inventory = listing([read(servers=SERVERS, documents=ENVELOPE)], DAY).inventory
    known = frozenset().union(*(one.keys for one in inventory.servers))

    def sighting(feed: str, **told: str) -> Sighting:
        keys = keys_seen(feed, known, **told)
        return Sighting(id=feed, source=feed.partition("/")[0], keys=keys, last_seen=DAY)

    seen = [
        sighting("srv-a/host"),
        sighting(f"other-vc/host:{UUID}"),
        sighting("bmc/host:sn-c"),
        sighting("bmc2/host:9", serial="SN C"),
        sighting("pve1/host:node1"),
        sighting("pve2/host:node1"),
        sighting("bmc/host:SN-B"),
    ]
    found = denominator(inventory, seen, QUARTER, Policy())
    unlisted = [machine.id for machine in found.machines if machine.server is None]
    nodes = ["X node 2", "X node 3", "X node 4"]
    assert unlisted == [*nodes, "bmc/host:SN-B", "pve1/host:node1", "pve2/host:node1"]
    assert [(one.server, one.reason) for one in found.removals] == [("B", "sold")]
    assert {machine.id for machine in found.machines if machine.server} == {"A", "C", "X1"}


def test_two_sites_may_share_a_register(read: Read) -> None:
    """Its machines count once; each row must then say where it stands."""
    text = "id;site\nA;paris\nB;lyon\n"
    both = [read("paris", servers=text), read("lyon", servers=text)]
    servers = listing(both, DAY).inventory.servers
    assert [(one.id, one.site) for one in servers] == [("A", "paris"), ("B", "lyon")]
    text = "id;site\nA;paris\nB;\n"
    with pytest.raises(RegisterError) as caught:
        listing([read("paris", servers=text), read("lyon", servers=text)], DAY)
    assert [(one.line, one.column) for one in caught.value.problems] == [(3, "site")]


def test_exemptions_and_actions_of_servers(read: Read) -> None:
    """They reach the server that they name."""
    registers = read(
        servers="id\nA\nB\n",
        exemptions="subject;criterion;justification;day;signatory\nA;V7;j;2026-01-01;officer\n",
        actions="subject;criterion;day;owner\nB;V7;2026-09-01;o\n",
    )
    a, b = listing([registers], DAY).inventory.servers
    assert ([one.criterion for one in a.exemptions], a.actions) == (["V7"], ())
    assert (b.exemptions, [one.owner for one in b.actions]) == ((), ["o"])


def test_keys_are_of_kinds() -> None:
    """An id that reads like another's serial number is not taken for it."""
    assert keys_of(Server(line=1, id="7", serial="")).isdisjoint(
        keys_of(Server(line=2, id="8", serial="7"))
    )


def test_a_rented_machine_stands_on_its_providers_word(read: Read) -> None:
    """On a line of its own, with who signed; without an attestation it has none."""
    registers = read(
        servers="id;name;kind;owner;attestation\nV;mail;cloud;o;D-1\nW;;cloud;o;\n",
        documents=documents("D-1;provider_attestation;2026-01-01;;;provider;;;officer"),
    )
    mail, other = listing([registers], DAY).clouds
    assert mail.service == "mail"
    assert mail.attestation is not None
    assert (mail.attestation.signatory, mail.attestation.confirmed_by) == ("provider", "officer")
    assert (other.service, other.attestation) == ("W", None)


def test_the_example_is_evaluated_and_demonstrates_nothing() -> None:
    """All the way to a result: an example site with registers and no measurement."""
    declared = tomllib.loads((LOGNES / "site.toml").read_text(encoding="utf-8"))
    section = convert(declared["registers"], RegistersSection, file="site.toml")
    registers = load(section, LOGNES, "lognes")
    found = listing([registers], DAY)
    site = completed(SiteEvidence(site="lognes"), registers, DAY)
    assessed = assess([site], found.inventory, [], QUARTER, limits(registers))
    assert [one.machine.id for one in assessed.servers] == ["EXEMPLE-1", "EXEMPLE-2", "EXEMPLE-3"]
    assert {one.result for one in assessed.servers} <= {
        Result.NOT_DEMONSTRATED,
        Result.NOT_COMPLIANT,
    }
    known = [
        {one.criterion for one in outcome.criteria if one.status is Status.MET}
        for outcome in assessed.servers
    ]
    assert [sorted(criteria & {"V1", "V3"}) for criteria in known] == [
        ["V1", "V3"],
        ["V1", "V3"],
        ["V1"],
    ]
