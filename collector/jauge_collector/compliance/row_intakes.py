"""Intake air of rows of racks over a window: what sensors measured, and what somebody attests."""

from collections.abc import Mapping, Sequence

from jauge_models.compliance.evidence import Intake
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.windows import Window

from jauge_collector.compliance import attested_air
from jauge_collector.compliance import intake as air
from jauge_collector.registers.files import Registers
from jauge_collector.registers.intake_hours import TEMPERATURE, IntakeHours
from jauge_collector.sites import Site


def intakes_of_rows(
    registers: Registers,
    site: Site,
    hours: Mapping[str, air.Hours],
    window: Window,
    policy: Policy,
    *,
    signed: Sequence[IntakeHours],
) -> tuple[Intake, ...]:
    """Rows of racks by the class that the policy judges rooms by.

    ``hours`` are those of their sensors, ``signed`` what is attested of places.
    """
    envelope = policy.envelope(policy.site_envelope)
    if envelope is None:  # refused when a policy is made
        return ()
    rows = air.rows_of(registers, site.name, window.last)
    told = attested_air.of_rows(attested_air.by_place(signed, TEMPERATURE), registers, site.name)
    rule = attested_air.Rule(window, site.zone, envelope.name, policy.intake_measured)
    return tuple(
        attested_air.with_attested(
            air.intake(name, stays, hours, envelope, window=window, zone=site.zone),
            told.get(name, ()),
            rule,
            attested_air.measured_by(stays, hours, site.zone),
        )
        for name, stays in rows.items()
    )
