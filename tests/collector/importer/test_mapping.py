"""Mapping files that cannot be used: one line each, with the key and the fix."""

from pathlib import Path

import pytest
from jauge_collector.importer import mapping as mapping_file
from jauge_models.configuration import ConfigurationError

from tests.collector.importer.tables import ENERGY, HOURS, mapped


def test_defaults(tmp_path: Path) -> None:
    """The agent is ``import`` unless named, and amounts know their period."""
    mapping = mapped(tmp_path, HOURS + ENERGY)
    assert (mapping.site, mapping.agent, mapping.period_ms) == ("s", "import", 3_600_000)
    assert mapping.columns[0].series == ("s", "import", "meter:main", "energy_amount")


FORMAT = HOURS.replace("[time]", '[time]\nformat = "?"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HOURS + ENERGY + "unti = 1\n", r"columns\[0\]\.unti: unknown key; did you mean 'unit'"),
        (HOURS + ENERGY.replace("kWh", "kw"), r"columns\[0\]\.unit: 'kw' does not fit"),
        (HOURS + ENERGY.replace("kWh", "kW"), r"columns\[0\]\.unit: .*say mean = true"),
        (
            HOURS + ENERGY + "mean = true\n",
            r"columns\[0\]\.unit: 'kWh' is no mean for energy_amount; use W",
        ),
        (
            HOURS + ENERGY.replace("energy_amount", "energy") + "mean = true\n",
            r"columns\[0\]\.unit: a mean does not become energy",
        ),
        (
            HOURS + ENERGY.replace("energy_amount", "energy_amonut"),
            r"columns\[0\]\.quantity: .* did you mean 'energy_amount'",
        ),
        (
            HOURS + ENERGY.replace("meter:main", "metre:main"),
            r"columns\[0\]\.resource: .* did you mean 'meter'",
        ),
        (HOURS + ENERGY + ENERGY, r"columns\[1\]\.resource: .* also comes from columns\[0\]"),
        (HOURS + ENERGY + 'not_measured = ["< x"]\n', r"columns\[0\]\.not_measured: "),
        (HOURS + ENERGY + "instant = true\n", r"columns\[0\]\.instant: energy_amount has no"),
        (
            HOURS + ENERGY + "states = { on = 1 }\n",
            r"columns\[0\]\.states: energy_amount is no gau",
        ),
        (HOURS + ENERGY.replace('"kwh"', "0"), r"columns\[0\]\.column: 0 is no column"),
        (HOURS, r"columns: missing; add this key"),
        (HOURS.replace('"end"', '"instant"') + ENERGY, r"time\.labels: energy_amount is the"),
        (HOURS.replace("period_s = 3600", "") + ENERGY, r"time\.period_s: missing; add it"),
        (HOURS.replace("3600", "0") + ENERGY, r"time\.period_s: 0 is no length"),
        (HOURS.replace("3600", "1000000000000") + ENERGY, r"time\.period_s: 1000000000000 is no"),
        (FORMAT.replace("?", "%H:%M %H") + ENERGY, r"time\.format: '%H:%M %H' cannot be read back"),
        (FORMAT.replace("?", "%d/%m/%Y %Q") + ENERGY, r"time\.format: .* cannot be read back"),
        (FORMAT.replace("?", "%d/%m/%Y %") + ENERGY, r"time\.format: .* cannot be read back"),
        (HOURS.replace("UTC", "Paris") + ENERGY, r"time\.zone: 'Paris' is no time zone"),
        (HOURS.replace("[time]", '[time]\nformat = "ISO"') + ENERGY, r"time\.format: 'ISO' is no"),
        (HOURS.replace('["time"]', "[]") + ENERGY, r"time\.columns: is empty"),
        (HOURS.replace('"s"', '"a b"') + ENERGY, r"site: 'a b' is no name"),
        (HOURS + '[file]\ndelimiter = ";;"\n' + ENERGY, r"file\.delimiter: "),
        (
            HOURS + '[file]\nencoding = "utf-9"\n' + ENERGY,
            r"file\.encoding: 'utf-9' is no encoding",
        ),
        (HOURS + '[file]\nencoding = "hex"\n' + ENERGY, r"file\.encoding: 'hex' is no encoding of"),
        (HOURS + '[file]\nencoding = "rot13"\n' + ENERGY, r"file\.encoding: 'rot13' is no"),
        (HOURS + '[file]\nencoding = "a\\u0000"\n' + ENERGY, r"file\.encoding: "),
        (HOURS + "[file]\nskip = ['(']\n" + ENERGY, r"file\.skip\[0\]: .* no regular expression"),
        (HOURS + "[file]\nheader = false\n" + ENERGY, r"time\.columns\[0\]: .*column's number"),
        (HOURS + '[values]\ndecimal = ","\n' + ENERGY, r"values\.decimal: is the delimiter too"),
        (HOURS + '[values]\nthousands = "."\n' + ENERGY, r"values\.thousands: is the decimal"),
        (HOURS + '[values]\nthousands = "x"\n' + ENERGY, r"values\.thousands: 'x'"),
        ("site = 's'\n[time\n", r"not valid TOML"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong is named with its key, in one line that begins with the file."""
    with pytest.raises(ConfigurationError, match=message) as refused:
        mapped(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'mapping.toml'}: ")
    assert "\n" not in str(refused.value)


def test_days_in_a_civil_zone(tmp_path: Path) -> None:
    """A day's amount has no one length where clocks change, so it needs a fixed offset."""
    days = HOURS.replace("3600", "86400")
    with pytest.raises(ConfigurationError, match=r"time\.period_s: .* use a fixed zone"):
        mapped(tmp_path, days.replace("UTC", "Europe/Paris") + ENERGY)
    assert mapped(tmp_path, days + ENERGY).period_ms == 86_400_000


def test_register_among_period_starts(tmp_path: Path) -> None:
    """Whether a register was read at the label or at the period's end must be said."""
    register = ENERGY.replace("energy_amount", "energy")
    starts = HOURS.replace('"end"', '"start"')
    with pytest.raises(ConfigurationError, match=r"columns\[0\]\.instant: missing for a register"):
        mapped(tmp_path, starts + register)
    (column,) = mapped(tmp_path, starts + register + "instant = true\n").columns
    assert not column.shifted


def test_unreadable(tmp_path: Path) -> None:
    """A mapping file that is not there is an error of one line."""
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read"):
        mapping_file.load(tmp_path / "none.toml")
