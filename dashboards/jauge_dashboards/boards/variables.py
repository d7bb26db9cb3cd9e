"""What a reader may choose: a site, then rooms, racks and hosts of it, each within the wider."""

from typing import Final, NamedTuple

from jauge_dashboards.board import Variable
from jauge_dashboards.queries import metric

SITE: Final = Variable(name="site", word="site", query=f"label_values({metric('site_info')}, site)")


def _place(name: str, info: str) -> Variable:
    return Variable(name=name, word=name, query=f"label_values({info}, {name})", multiple=True)


INTAKE_ROOM: Final = _place("room", metric("intake_info", site="$site"))
INTAKE_RACK: Final = _place("rack", metric("intake_info", site="$site", room="~$room"))
PDU_ROOM: Final = _place("room", metric("resource_info", site="$site", kind="pdu"))
PDU_RACK: Final = _place("rack", metric("resource_info", site="$site", kind="pdu", room="~$room"))


class Hosts(NamedTuple):
    """Choices of hosts of which a metric tells, and of the rooms and racks that they are in."""

    room: Variable
    rack: Variable
    host: Variable


def hosts_with(name: str) -> Hosts:
    """The hosts that a metric with the label ``host`` tells of, so that no choice is empty."""
    known = f"on (site, host) group by (site, host) ({metric(name, site='$site')})"
    within = {"room": {}, "rack": {"room": "~$room"}, "host": {"room": "~$room", "rack": "~$rack"}}

    def choice(label: str, regex: str) -> Variable:
        info = metric("host_info", site="$site", **within[label])
        return Variable(
            name=label,
            word=label,
            query=f"query_result({info} and {known})",
            regex=regex,
            multiple=True,
        )

    return Hosts(
        choice("room", r'/\broom="([^"]+)"/'),
        choice("rack", r'/\brack="([^"]+)"/'),
        # Chosen by its name and asked for by its id: names change and may be shared.
        choice("host", r'/\bname="(?<text>[^"]+)|\bhost="(?<value>[^"]+)/g'),
    )
