"""The compliance record in the console: its routes and what each asks of its visitor."""

from typing import Final

from aiohttp import web

from jauge_collector.access.roles import Permission
from jauge_collector.console import attesting
from jauge_collector.console.attesting import Attesting
from jauge_collector.console.changes import Changes
from jauge_collector.console.compliance_forms import ComplianceForms
from jauge_collector.console.compliance_pages import CompliancePages
from jauge_collector.console.guard import UPLOADS, mount
from jauge_collector.console.record_access import RecordAccess
from jauge_collector.console.records import Records
from jauge_collector.console.reporting import Reporting
from jauge_collector.console.scoped import Scoping
from jauge_collector.console.uploads import Place, forget_old
from jauge_collector.state import ServiceState

ROOT: Final = "/{site}/compliance"


def add_routes(
    app: web.Application,
    state: ServiceState,
    scoping: Scoping,
    changes: Changes,
    records: Records,
) -> CompliancePages:
    """Mount the pages and forms; gives what the JSON interface asks the record of."""
    access, reports = RecordAccess(state, scoping, records), Reporting(changes, records)
    pages = CompliancePages(state, access, reports)
    forms = ComplianceForms(access, pages, Attesting(state, changes, records), reports)
    read, attest = Permission.READ, Permission.ATTEST
    for path, page in (
        ("", pages.overview),
        ("/todo", pages.todo),
        ("/servers", pages.servers),
        ("/servers.csv", pages.servers_csv),
        ("/server", pages.server),
        ("/criteria", pages.criteria),
        ("/meters", pages.meters),
        ("/attestations", pages.attestations),
        ("/document", pages.document),
        ("/reports", pages.reports),
        ("/report", pages.report),
    ):
        mount(app, "GET", ROOT + path, page, read)
    for path, act, permission in (
        ("/attestations/attest", forms.attest, attest),
        ("/attestations/confirm", forms.confirm, Permission.APPROVE),
        ("/reports/close", forms.close, Permission.CLOSE),
        ("/reports/approve", forms.approve, Permission.APPROVE),
    ):
        mount(app, "POST", ROOT + path, act, permission)
    folder = state.config.state(attesting.UPLOADS)
    forget_old(folder)
    app[UPLOADS][f"{ROOT}/attestations/attest"] = Place(folder)
    return pages
