"""All files about alerts, as ``jauge-dashboards build`` writes them.

``python -m jauge_dashboards.alerts.build`` writes those of the repository anew.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from jauge_dashboards.alerts import alertmanager
from jauge_dashboards.alerts.prometheus import rule_file, watch_file
from jauge_dashboards.alerts.rules import rules
from jauge_dashboards.alerts.runbooks import runbook
from jauge_dashboards.alerts.settings import Settings

LANGUAGES: Final = ("fr", "en")
GENERATED: Final = "generated"


def alert_files(settings: Settings, language: str) -> Mapping[str, str]:
    """Text of each file by its path below the folder of alerts."""
    return {
        "rules.yaml": rule_file(settings, language),
        "watch.yaml": watch_file(settings, language),
        "alertmanager.yaml": alertmanager.configuration(settings),
        alertmanager.TEMPLATE_FILE: alertmanager.templates(settings, language),
        **{f"runbooks/{language}/{name}.md": runbook(name, language) for name in rules(settings)},
    }


def main() -> None:
    """Write the files of every language below ``generated/alerts``."""
    folder = Path(str(files("jauge_dashboards"))) / GENERATED / "alerts"
    for language in LANGUAGES:
        for name, text in alert_files(Settings(), language).items():
            if name.startswith("runbooks/"):
                continue  # they are written by hand, and lie in the package already
            file = folder / language / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
