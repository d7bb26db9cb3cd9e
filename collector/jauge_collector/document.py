"""Prints the sample of a file that people write: ``python -m jauge_collector.document KIND``.

KIND is ``collector``, ``site``, ``mapping`` or ``policy``. What the structs hold stands there.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Final

from jauge_models.samples import sample

from jauge_collector.config import CollectorConfig
from jauge_collector.importer.mapping import MappingFile
from jauge_collector.registers import policy_sample
from jauge_collector.site_file import SiteFile

_HOW: Final = (
    "A key behind a # shows its default, if it has one.",
    "A section behind a # is left out by default; what it shows is an example.",
    "Generated from the structs in jauge_collector; do not edit.",
)


def collector() -> str:
    """The text of ``collector.sample.toml``."""
    return sample(
        CollectorConfig,
        title=("Configuration of jauge-collector. Paths are relative to this file.", *_HOW),
        source_of=inspect.getsource,
        examples={
            "sites": ["site.sample.toml"],
            "influxdb.url": "http://127.0.0.1:8086",
            "influxdb.org": "example",
            "influxdb.bucket": "jauge",
            "console.access.groups.group": "dc-operators",
            "console.access.groups.role": "operator",
            "console.access.groups.sites": ["*"],
            "console.access.groups.tenants": ["*"],
        },
        omit=("source",),
    )


def site() -> str:
    """The text of ``site.sample.toml``."""
    return sample(
        SiteFile,
        title=(
            "A site: its meters, its boundary equations and dated facts. An example.",
            "Dates are written '2026-01-31' or '2026-01-31T08:00', on the site's clock.",
            *_HOW,
        ),
        source_of=inspect.getsource,
        examples={
            "site.name": "paris-1",
            "meters.id": "ups-a",
            "meters.commodity": "electricity",
            "meters.feeds": ["gateway/meter:ups-a"],
            "meters.factors.value": 40.0,
            "hosts.id": "srv-17",
            "hosts.feeds": ["bmc/host:serial-17", "vcenter/host:uuid-17"],
            "equations.symbol": "E_IT",
            "equations.place": "ups_output",
            "equations.terms.meter": "ups-a",
            "connections.upstream": "ups-a",
            "connections.downstream": "pdu:a1",
            "circuits.current": "gateway/phase:pdu-a1.1",
            "circuits.limit_a": 32.0,
            "events.kind": "bypass",
            "events.begin": "2026-03-02T10:00",
            "events.end": "2026-03-02T11:30",
            "attributes.subject": "rack:a12",
            "attributes.name": "tenant",
            "attributes.value": "example",
            "emission_factors.kg_co2e_per_kwh": 0.05,
            "emission_factors.source": "an example, not a published figure",
            "emission_factors.scope": "life_cycle",
        },
        shown=("meters", "equations"),
    )


def mapping() -> str:
    """The text of ``mapping.sample.toml``."""
    return sample(
        MappingFile,
        title=("What the columns of a CSV or TSV file mean, for jauge-collector import.", *_HOW),
        source_of=inspect.getsource,
        examples={
            "site": "paris-1",
            "time.columns": ["end of hour"],
            "time.zone": "Europe/Paris",
            "time.labels": "end",
            "time.period_s": 3600,
            "columns.column": "kWh",
            "columns.resource": "meter:ups-a",
            "columns.quantity": "energy_amount",
            "columns.unit": "kWh",
        },
    )


SAMPLES: Final[Mapping[str, Callable[[], str]]] = {
    "collector": collector,
    "site": site,
    "mapping": mapping,
    "policy": policy_sample.text,
}

if __name__ == "__main__":
    sys.stdout.write(SAMPLES[sys.argv[1]]())
