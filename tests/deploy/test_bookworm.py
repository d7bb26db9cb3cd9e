"""Debian 12 can be all of a site but its store and alerts, and says so before anything changes.

`make test-deploy` runs it. The tests stand in the order of a site's life, each where the one before
has left it; what does not depend on the release is in test_site.py.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.deploy import versions
from tests.deploy.asking import admitted, exposure, kept, known, link, runs_from, time_of_broker
from tests.deploy.books import balance, keep_journal, settled
from tests.deploy.control import done
from tests.deploy.ground import (
    ASKED_FOR,
    MOST_EXPOSED,
    SITE,
    SITE_OF_BOOKWORM,
    Ground,
    hosts_or_skip,
)

SERVICES: Final = (
    ("collector", "mosquitto"),
    ("collector", "jauge-collector"),
    ("gateway", "jauge-agent"),
)
RUN: Final = SERVICES[1:]
"""Those that versions of ours are made for."""

pytestmark = ASKED_FOR


@pytest.fixture(scope="module")
def bare() -> Iterator[Ground]:
    """Hosts as they come from a bare installation."""
    with hosts_or_skip(SITE_OF_BOOKWORM) as made:
        yield made


@pytest.fixture(scope="module")
def site(bare: Ground) -> Ground:
    """A working site, whose gateway notes what it takes."""
    done(bare.control.play("site.yml"))
    keep_journal(bare.hosts["gateway"])
    settled(bare, "gateway")
    return bare


def nothing_lost(site: Ground) -> None:
    """Every reading that the gateway took is answered, and in the store once."""
    settled(site, "gateway")
    books = balance(site, "gateway")
    sys.stdout.write(f"{books}\n")
    assert books.balanced, books


@pytest.mark.parametrize("tags", [(), ("--tags", "store"), ("--tags", "alerting")])
def test_store_and_alerts_are_refused_before_anything_changes(
    bare: Ground, tags: tuple[str, ...]
) -> None:
    """In one line that says which packages are too old, and what to do."""
    more: dict[str, Any] = {"jauge_store": {"hosts": {"collector": {}}}}
    more["jauge_alerting"] = more["jauge_store"]
    groups = bare.control.file("more.json", json.dumps(more))
    # What the store's own host would get is not looked at here.
    play = bare.control.play("site.yml", "-i", groups, *tags, "--limit", "collector")
    assert play.status != 0
    assert play.hosts["collector"].changed == 0
    said = [line for line in play.said.splitlines() if "collector (Debian 12" in line]
    assert all("victoria-metrics 1.79.5 (1.92 or newer is needed)" in line for line in said)
    assert any("prometheus-alertmanager 0.25.0 (0.26 or newer is needed)" in line for line in said)
    assert any("such as one of Debian 13" in line for line in said)
    installed = bare.hosts["collector"].run("dpkg-query", "--show")
    assert not {"mosquitto", "victoria-metrics"} & {
        line.split("\t")[0] for line in installed.splitlines()
    }


def test_broker_collector_and_gateway_work(site: Ground) -> None:
    """By the agent's own word, the console's and the store's; with little exposed, time served."""
    assert site.agent("gateway")["jauge_agent_connected"] == 1
    assert known(site) == {"gateway"}
    assert not admitted(site.hosts["gateway"])
    assert time_of_broker(site.hosts["gateway"])["mode"] == 4  # server
    for name, unit in SERVICES:
        assert exposure(site.hosts[name], unit) < MOST_EXPOSED
    nothing_lost(site)


def test_a_second_run_changes_nothing(site: Ground) -> None:
    """As on any other release."""
    assert done(site.control.play("site.yml")).changes == []


def test_what_is_killed_or_cut_off_comes_back(site: Ground) -> None:
    """Services by systemd, a host by its start."""
    for name, unit in SERVICES:
        site.hosts[name].kill(unit)
    for name in ("collector", "gateway"):
        site.hosts[name].power_cut()
        site.hosts[name].boot()
    nothing_lost(site)


def test_an_upgrade_under_load_holds_and_is_rolled_back(site: Ground) -> None:
    """Collector and gateway run the new version, then the one before again."""
    second = versions.renamed(site.dist, site.folder / "dist-2", "2")
    done(site.control.play("upgrade.yml", jauge_dist=str(second)))
    for name, unit in RUN:
        assert (link(site.hosts[name]), runs_from(site.hosts[name], unit)) == ("2", "2")
    done(site.control.play("rollback.yml"))
    for name, unit in RUN:
        assert (link(site.hosts[name]), runs_from(site.hosts[name], unit)) == ("1", "1")
    nothing_lost(site)


def test_a_gateway_that_is_given_up_is_out_and_uninstalled(site: Ground) -> None:
    """Its certificate opens nothing, the collector forgets it, its data stay."""
    host = site.hosts["gateway"]
    old = kept(host)
    assert admitted(host, *old)
    done(site.control.play("retire.yml", retire_agent=f"{SITE}/gateway", retire_host="gateway"))
    assert not admitted(host, *old)
    assert known(site) == set()
    for name, unit in RUN:
        done(site.control.play("uninstall.yml", "--limit", name, uninstall=True))
        assert not site.hosts[name].is_active(unit)
        assert "jauge" not in site.hosts[name].run("ls", "/etc/systemd/system", "/opt")
    assert "spool.sqlite" in host.run("ls", "/var/lib/jauge-agent")
    assert "ledger.db" in site.hosts["collector"].run("ls", "/var/lib/jauge")
