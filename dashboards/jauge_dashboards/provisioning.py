"""Grafana's provisioning files: the data source, and the folder of dashboards read from disk.

Grafana reads them at start from ``provisioning/datasources`` and ``provisioning/dashboards``.
YAML is written as text: there is little of it, and comments tell what to change.
"""

from collections.abc import Mapping
from typing import Final

from jauge_dashboards.words import Words

STORE: Final = "http://127.0.0.1:8428"
"""Where VictoriaMetrics, or Prometheus, answers PromQL, unless a build says otherwise."""
FOLDER_UID: Final = "jauge"
DATA_SOURCE_UID: Final = "jauge"
DASHBOARDS: Final = "/var/lib/grafana/dashboards/jauge"
"""Where the host that runs Grafana keeps the dashboards."""
SCRAPE_INTERVAL: Final = "60s"
"""Longest time between two readings of a series by the defaults of agents and of scrapes."""


def provisioning_files(
    words: Words, *, store: str = STORE, folder: str = DASHBOARDS
) -> Mapping[str, str]:
    """Text by path below Grafana's ``provisioning`` folder. No secret stands in any."""
    return {
        "datasources/jauge.yaml": f"""\
apiVersion: 1
datasources:
  - name: Jauge
    uid: {DATA_SOURCE_UID}
    type: prometheus
    access: proxy
    url: {_quoted(store)}
    editable: false
    jsonData:
      httpMethod: POST
      # Grafana makes $__rate_interval no shorter than four of these.
      timeInterval: {SCRAPE_INTERVAL}
""",
        "dashboards/jauge.yaml": f"""\
apiVersion: 1
providers:
  - name: jauge
    folder: {_quoted(words("folder", "title"))}
    folderUid: {FOLDER_UID}
    type: file
    # What is changed in Grafana would be lost at the next build.
    allowUiUpdates: false
    disableDeletion: false
    updateIntervalSeconds: 60
    options:
      path: {_quoted(folder)}
""",
    }


def _quoted(text: str) -> str:
    """As YAML takes any text: in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
