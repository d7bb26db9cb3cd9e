"""From bare Debian to a working site, and back: the plays against real hosts.

`make test-deploy` runs it; it takes too long for every `make test`. The tests stand in the order of
a site's life, each where the one before has left it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.deploy import versions
from tests.deploy.asking import (
    admitted,
    entered,
    entries_in,
    exposure,
    kept,
    known,
    ledger_of,
    link,
    runs_from,
    time_of_broker,
)
from tests.deploy.books import balance, keep_journal, settled
from tests.deploy.control import done
from tests.deploy.ground import (
    ASKED_FOR,
    MOST_EXPOSED,
    SITE,
    SITE_OF_BOTH,
    STORE,
    WATTS,
    Ground,
    hosts_or_skip,
)
from tests.deploy.hosts import until
from tests.deploy.rootfs import TRIXIE

AGENTS: Final = ("srv1", "srv2")
SERVICES: Final = (
    ("broker", "mosquitto"),
    ("collector", "victoria-metrics"),
    ("collector", "jauge-collector"),
    ("collector", "jauge-alerts"),
    ("collector", "prometheus-alertmanager"),
    ("srv1", "jauge-agent"),
    ("srv2", "jauge-agent"),
)
pytestmark = ASKED_FOR


@pytest.fixture(scope="module")
def bare() -> Iterator[Ground]:
    """Hosts as they come from a bare installation."""
    with hosts_or_skip(SITE_OF_BOTH) as made:
        yield made


@pytest.fixture(scope="module")
def site(bare: Ground) -> Ground:
    """A working site, made by ``site.yml``, whose agents note what they take."""
    done(bare.control.play("site.yml"))
    for name in AGENTS:
        keep_journal(bare.hosts[name])
    settled(bare, *AGENTS)
    return bare


def nothing_lost(site: Ground) -> None:
    """Every reading that agents took is answered, and in the store once."""
    settled(site, *AGENTS)
    for name in AGENTS:
        books = balance(site, name)
        sys.stdout.write(f"{name}: {books}\n")
        assert books.balanced, books


def test_readings_are_answered_over_mutual_tls_and_the_console_answers(site: Ground) -> None:
    """By the agents' own word, the collector's, and the store's; nobody without a certificate."""
    (told,) = site.ask("/api/v1/sites")["sites"]
    assert (told["site"], told["agents"]) == (SITE, 2)
    for name in AGENTS:
        samples = site.agent(name)
        assert samples["jauge_agent_connected"] == 1
        assert samples['jauge_agent_spool_readings_total{outcome="stored",reason=""}'] > 0
        log = site.hosts["broker"].run("journalctl", "--unit=mosquitto", "--no-pager")
        assert f"u'{SITE}/{name}'" in log
    assert not admitted(site.hosts["srv1"])
    nothing_lost(site)


def test_the_broker_serves_time_to_a_network_that_has_none(site: Ground) -> None:
    """It answers a client by NTP, and says that it follows no better clock than its own."""
    answer = time_of_broker(site.hosts["srv1"])
    assert answer["mode"] == 4  # server
    assert answer["stratum"] == 10
    assert abs(answer["seconds"] - time.time()) < 30


def test_a_second_run_changes_nothing(site: Ground) -> None:
    """Nor does a look at what it would change."""
    again = done(site.control.play("site.yml"))
    assert again.changes == []
    assert {host.changed for host in again.hosts.values()} == {0}
    looked = done(site.control.play("site.yml", "--check", "--diff"))
    assert looked.changes == []


def test_units_are_little_exposed_where_they_run(site: Ground) -> None:
    """Below three of ten, by systemd's own judgement on the host; the scores are printed."""
    for name, unit in SERVICES:
        assert exposure(site.hosts[name], unit) < MOST_EXPOSED


def test_a_silent_agent_is_told_of_and_so_is_its_return(site: Ground) -> None:
    """From the collector's figures by store, vmalert and Alertmanager to somebody's web hook."""
    host = site.hosts["srv2"]
    host.run("systemctl", "stop", "jauge-agent")

    def told(status: str) -> bool:
        return site.told_of("JaugeAgentSilent", status, site=SITE, agent="srv2")

    until(lambda: told("firing"), within=240, what="the silence is told of")
    host.run("systemctl", "start", "jauge-agent")
    until(lambda: told("resolved"), within=240, what="its end is told of")
    assert not site.told_of("JaugeAgentSilent", "firing", agent="srv1")


@pytest.mark.parametrize(("name", "unit"), SERVICES)
def test_a_service_that_is_killed_comes_back(site: Ground, name: str, unit: str) -> None:
    """By systemd, on its own."""
    site.hosts[name].kill(unit)


def test_nothing_was_lost_by_killing(site: Ground) -> None:
    """Nor doubled."""
    nothing_lost(site)


@pytest.mark.parametrize("name", ["broker", "collector", *AGENTS])
def test_a_host_comes_back_from_a_power_cut_and_a_reboot(site: Ground, name: str) -> None:
    """With all its services, and nothing lost or doubled anywhere."""
    host = site.hosts[name]
    host.power_cut()
    host.boot()
    settled(site, *AGENTS)
    host.reboot()
    for where, unit in SERVICES:
        if where == name:
            until(lambda u=unit: host.is_active(u), within=90, what=f"{unit} runs")  # type: ignore[misc]  # mypy cannot type the default
    nothing_lost(site)


def test_an_upgrade_under_load_loses_nothing(site: Ground) -> None:
    """Agents read every second meanwhile; all run the new version afterwards."""
    second = versions.renamed(site.dist, site.folder / "dist-2", "2")
    done(site.control.play("upgrade.yml", jauge_dist=str(second)))
    for name, unit in (("collector", "jauge-collector"), *((a, "jauge-agent") for a in AGENTS)):
        host = site.hosts[name]
        assert (link(host), link(host, "previous")) == ("2", "1")
        assert runs_from(host, unit) == "2"
    nothing_lost(site)


@pytest.mark.parametrize(("component", "place"), [("agent", "srv1"), ("collector", "collector")])
def test_a_version_that_does_not_run_goes_back_by_itself(
    site: Ground, component: str, place: str
) -> None:
    """On the first host that gets it, and no other gets it; it would not be rolled back to."""
    bad = f"bad-{component}"
    dist = versions.broken(site.dist, site.folder / bad, bad, component)
    play = site.control.play(
        "upgrade.yml",
        # The collector's own part would hold, and is upgraded first.
        *(("--limit", "jauge_agents") if component == "agent" else ()),
        jauge_dist=str(dist),
        agent_gate_seconds=20,
        collector_gate_seconds=20,
    )
    assert play.status != 0
    assert f"version {bad} did not hold" in play.said
    host = site.hosts[place]
    assert play.hosts[place].rescued == 1
    assert (link(host), link(host, "previous")) == ("2", "1")
    assert runs_from(host, f"jauge-{component}") == "2"
    for name in AGENTS:
        if name != place:
            assert bad not in site.hosts[name].run("ls", "/opt/jauge").split()
    nothing_lost(site)


def test_a_rollback_leads_to_the_version_before_and_no_further(site: Ground) -> None:
    """A second one refuses."""
    done(site.control.play("rollback.yml"))
    for name, unit in (("collector", "jauge-collector"), *((a, "jauge-agent") for a in AGENTS)):
        host = site.hosts[name]
        assert (link(host), link(host, "previous")) == ("1", "")
        assert runs_from(host, unit) == "1"
    assert site.control.play("rollback.yml").status != 0
    assert runs_from(site.hosts["collector"], "jauge-collector") == "1"
    nothing_lost(site)


def test_a_restore_leads_back_to_the_point_of_the_backup(site: Ground) -> None:
    """What people entered since is gone, what was measured since is computed anew."""
    entered(site, 1)
    fetched = site.folder / "fetched"
    done(site.control.play("backup.yml", backup_fetch=str(fetched)))
    newest = max((fetched / "collector").glob("*.tar"), key=lambda path: path.name)
    then = ledger_of(site)
    assert entries_in(newest) == len(then["entries"]) > 0
    entered(site, 2)
    assert len(ledger_of(site)["entries"]) > len(then["entries"])

    done(site.control.play("restore.yml", restore_file=f"/var/backups/jauge/{newest.name}"))
    now = ledger_of(site)
    assert now["entries"] == then["entries"]
    assert now["chain"] == then["chain"]
    site.hosts["collector"].run(
        *("runuser", "--user=jauge", "--", "jauge-collector", "verify"),
    )
    (aside,) = (
        site.hosts["collector"]
        .run("sh", "-c", "ls -d /var/lib/jauge/before-restore-*/ledger.db")
        .split()
    )
    assert aside

    last_ms = max(end_ms for _, _, end_ms, _, _ in then["rows"])

    def caught_up() -> bool:
        rows = ledger_of(site)["rows"]
        return any(start_ms >= last_ms and amount for _, start_ms, _, amount, _ in rows)

    until(caught_up, within=420, what="what came after the backup has rows")
    again = {(name, start_ms): rest for name, start_ms, *rest in ledger_of(site)["rows"]}
    for name, start_ms, end_ms, amount, covered_ms in then["rows"]:
        if end_ms < last_ms:
            assert again[name, start_ms] == [end_ms, amount, covered_ms]
    for (name, _), (_, amount, covered_ms) in again.items():
        if name == "it" and amount:
            assert amount == pytest.approx(WATTS * covered_ms / 1000, rel=0.02)
    nothing_lost(site)


def test_what_is_no_backup_changes_nothing(site: Ground) -> None:
    """The collector goes on with what it had."""
    host = site.hosts["collector"]
    before = ledger_of(site)["entries"]
    host.run("sh", "-c", "echo rubbish >/var/backups/jauge/rubbish.tar")
    play = site.control.play("restore.yml", restore_file="/var/backups/jauge/rubbish.tar")
    assert play.status != 0
    assert "is no whole backup" in play.said
    assert ledger_of(site)["entries"] == before
    assert host.is_active("jauge-collector")


def test_an_agent_whose_certificate_is_revoked_is_out_until_it_has_another(site: Ground) -> None:
    """Its open session ends, its key opens nothing; enrolled again it brings what had waited."""
    host = site.hosts["srv2"]
    old = kept(host)
    assert admitted(host, *old)
    subprocess.run(
        [versions.ROOT / "deploy/mosquitto/certificates.sh", "revoke", f"{SITE}/srv2"],
        env={**os.environ, "JAUGE_AUTHORITY": str(site.control.authority)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    done(site.control.play("site.yml", "--tags", "broker"))
    until(
        lambda: site.agent("srv2").get("jauge_agent_connected") == 0,
        within=60,
        what="srv2 is out",
    )
    assert not admitted(host, *old)
    until(
        lambda: "revoked" in host.run("journalctl", "--unit=jauge-agent", "--no-pager"),
        within=60,
        what="it says why",
    )
    done(site.control.play("enrol.yml", "--limit", "srv2"))
    assert not admitted(host, *old)
    nothing_lost(site)


def test_a_clone_cannot_share_an_identity(site: Ground) -> None:
    """A copy of a host's disk is refused as what it is; as a machine of its own it gets its own."""
    original = site.hosts["srv2"]
    original.shut_down()
    clone = site.machine("clone")
    clone.copy_of(original)
    # Two under one name at once is another matter, which the collector judges.
    clone.remove("etc/systemd/system/multi-user.target.wants/jauge-agent.service")
    original.boot()
    clone.boot()
    site.know()
    refused = site.control.play("enrol.yml", "--limit", "clone")
    assert refused.status != 0
    assert f"clone was enrolled as {SITE}/srv2" in " ".join(refused.said.split())

    clone.shut_down()
    clone.new_identity()
    clone.boot()
    site.know()
    done(site.control.play("enrol.yml", "--limit", "clone"))
    settled(site, "clone")
    keys = {
        host.run("openssl", "pkey", "-in", "/etc/jauge-agent/key.pem", "-pubout")
        for host in (original, clone)
    }
    assert len(keys) == 2
    assert known(site) == {*AGENTS, "clone"}
    nothing_lost(site)


def test_a_host_that_is_given_up_is_out_and_keeps_its_data(site: Ground) -> None:
    """The collector forgets it, its certificate opens nothing, nobody is told of its silence."""
    clone = site.hosts["clone"]
    old = kept(clone)
    done(
        site.control.play("retire.yml", retire_agent=f"{SITE}/clone", retire_host="clone"),
    )
    assert not admitted(clone, *old)
    assert not clone.is_active("jauge-agent")
    silences = site.hosts["collector"].run(
        "amtool", "--alertmanager.url=http://127.0.0.1:9093", "silence", "query"
    )
    assert 'agent="clone"' in silences
    # The collector, which has begun anew, knows whom it has heard since.
    settled(site, *AGENTS)
    assert known(site) == set(AGENTS)

    assert site.control.play("uninstall.yml", "--limit", "clone").status != 0
    assert clone.run("ls", "/opt/jauge")
    done(site.control.play("uninstall.yml", "--limit", "clone", uninstall=True))
    left = clone.run("ls", "/etc/systemd/system", "/usr/local/bin", "/opt")
    assert "jauge" not in left
    assert "agent.toml" in clone.run("ls", "/etc/jauge-agent")
    assert "spool.sqlite" in clone.run("ls", "/var/lib/jauge-agent")
    nothing_lost(site)


def test_a_host_that_is_a_gateway_alone_is_enrolled_and_keeps_its_readings_under_a_new_name(
    site: Ground,
) -> None:
    """It has the libraries and programs for devices; the old name is out, what waited comes."""
    if clone := site.hosts.pop("clone", None):
        clone.power_cut()
    gateway = site.bare("gateway", TRIXIE)
    gateway.boot()
    site.know()
    done(site.control.play("enrol.yml", "--limit", "gateway"))
    gateway.run("/opt/jauge/current/bin/python3", "-c", "import gufo.snmp, pymodbus, pyVmomi")
    gateway.run("ipmi-dcmi", "--version")
    keep_journal(gateway)
    settled(site, "gateway")
    assert balance(site, "gateway").balanced

    whom = {"rename_host": "gateway", "rename_from": f"{SITE}/gateway"}
    refused = site.control.play("rename.yml", **whom)
    assert refused.status != 0
    assert "set another agent_name" in " ".join(refused.said.split())
    assert known(site) == {*AGENTS, "gateway"}

    old = kept(gateway)
    site.control.own["gateway"] = {"agent_name": "plant"}
    site.know()
    done(site.control.play("rename.yml", **whom))
    settled(site, "gateway", *AGENTS)
    assert known(site) == {*AGENTS, "plant"}
    assert not admitted(gateway, *old)
    books = balance(site, "gateway", "gateway", "plant")
    # What was stored, and not yet answered, came again under the new name.
    assert books.taken > 0
    assert books.lost == books.given_up == 0, books
    nothing_lost(site)


def test_all_keys_are_made_anew_and_old_ones_hold_until_they_are_revoked(site: Ground) -> None:
    """Of broker, collector and agents; one that may have been copied opens nothing any more."""
    places = {
        "broker": "/etc/mosquitto/tls",
        "collector": "/etc/jauge",
        **dict.fromkeys((*AGENTS, "gateway"), "/etc/jauge-agent"),
    }

    def keys() -> dict[str, str]:
        return {
            name: site.hosts[name].run("openssl", "pkey", "-in", f"{folder}/key.pem", "-pubout")
            for name, folder in places.items()
        }

    host = site.hosts["srv1"]
    old, before = kept(host), keys()
    done(site.control.play("rotate.yml"))
    after = keys()
    assert {name for name in places if after[name] == before[name]} == set()
    assert admitted(host, *old)
    done(site.control.play("rotate.yml", "--limit", "srv1", pki_revoke=True))
    assert {name for name in places if keys()[name] != after[name]} == {"srv1"}
    assert not admitted(host, *old)
    nothing_lost(site)


def test_a_machine_that_is_replaced_has_its_name_taken_over(site: Ground) -> None:
    """Not by itself; what the one before had is out."""
    host = site.hosts["srv2"]
    old = kept(host)
    host.shut_down()
    host.new_identity()
    host.boot()
    site.know()
    refused = site.control.play("enrol.yml", "--limit", "srv2")
    assert refused.status != 0
    assert f"{SITE}/srv2 was enrolled by another machine" in " ".join(refused.said.split())
    assert admitted(host, *old)
    done(site.control.play("replace-board.yml", replace_host="srv2"))
    assert not admitted(host, *old)
    # A spool belongs to one machine, and the journal lay in it.
    keep_journal(host)
    nothing_lost(site)


def test_grafana_is_left_out_where_it_is_not_and_provisioned_where_it_is(site: Ground) -> None:
    """A unit stands in for the server, which no repository of these hosts has."""
    host = site.hosts["collector"]
    groups = json.dumps({"jauge_grafana": {"hosts": {"collector": {}}}})
    only = ("-i", site.control.file("grafana.json", groups), "--tags", "grafana")
    left_out = done(site.control.play("site.yml", *only))
    assert "its part is skipped" in " ".join(left_out.said.split())
    assert left_out.hosts["collector"].changed == 0

    host.run("mkdir", "/etc/grafana")
    unit = "/etc/systemd/system/grafana-server.service"
    host.run("tee", unit, given="[Service]\nExecStart=/usr/bin/sleep infinity\n")
    done(site.control.play("site.yml", *only, grafana_language="en"))
    assert host.is_active("grafana-server")
    source = host.run("cat", "/etc/grafana/provisioning/datasources/jauge.yaml")
    assert STORE in source
    boards = host.run("ls", "/var/lib/grafana/dashboards/jauge").split()
    assert "jauge-site.json" in boards
    assert all(
        json.loads(host.run("cat", f"/var/lib/grafana/dashboards/jauge/{b}")) for b in boards
    )
    again = done(site.control.play("site.yml", *only, grafana_language="en"))
    assert again.hosts["collector"].changed == 0, again.changes


def test_a_store_that_is_there_is_asked_and_left_as_it_is(site: Ground) -> None:
    """By its address; one that would count twice what comes twice is refused."""
    there = site.control.play("site.yml", "--tags", "store", store_mode="external", store_url=STORE)
    assert done(there).hosts["collector"].changed == 0
    host = site.hosts["collector"]
    unfit = "victoria-metrics -storageDataPath=/tmp/unfit -httpListenAddr=127.0.0.1:8429"
    host.run("systemd-run", "--unit=unfit", *unfit.split())
    refused = site.control.play(
        "site.yml",
        *("--tags", "store"),
        store_mode="external",
        store_url="http://127.0.0.1:8429",
    )
    host.run("systemctl", "stop", "unfit")
    assert refused.status != 0
    assert "would be counted twice" in " ".join(refused.said.split())
