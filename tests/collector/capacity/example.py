"""The example of examples/capacity as a site of its own, with nothing measured."""

from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples" / "capacity"

SITE = """
[site]
name = "ex"
title = "Example"

[capacity]
plant = "plant.toml"
price_eur_per_kwh = 0.2
price_source = "example value"

[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["gateway/meter:ups"]

[[equations]]
symbol = "E_IT"
place = "ups_output"
[[equations.terms]]
meter = "ups"
"""


def written(folder: Path, site: str = SITE) -> Path:
    """A collector's configuration in a folder, with that site and the example's plant."""
    (folder / "site.toml").write_text(site, encoding="utf-8")
    plant = (EXAMPLES / "plant.toml").read_text("utf-8")
    (folder / "plant.toml").write_text(plant, encoding="utf-8")
    config = folder / "collector.toml"
    config.write_text('state_dir = "state"\nsites = ["site.toml"]\n', encoding="utf-8")
    return config
