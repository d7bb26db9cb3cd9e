"""Whose a thing is: from the particular to the general, at a date, and nobody's where in doubt."""

from pathlib import Path

import pytest
from jauge_collector import sites
from jauge_collector.access.tenancy import Held, Tenancy, holds, within
from jauge_models.configuration import ConfigurationError
from jauge_models.topology import Validity

HEAD = """
[site]
name = "s"
time_zone = "UTC"
[[meters]]
id = "m"
commodity = "electricity"
feeds = ["gw/meter:m", "gw/outlet:pdu3.1"]
[[meters]]
id = "bare"
commodity = "electricity"
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "m" }]
"""
A = frozenset({"a"})
B = frozenset({"b"})


def tenancy(folder: Path, *facts: tuple[str, ...], hosts: str = "") -> Tenancy:
    """Of facts (subject, name, value) and lines that date them."""
    text = HEAD + hosts
    for subject, name, value, *dates in facts:
        text += f'[[attributes]]\nsubject = "{subject}"\nname = "{name}"\nvalue = "{value}"\n'
        text += "\n".join(dates) + "\n"
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return Tenancy(sites.load(path))


def ever(held: Held) -> bool:
    """Whether it holds at any time, and then always."""
    assert held in ((), (Validity(),))
    return bool(held)


def test_without_a_fact_nothing_is_anybodys(tmp_path: Path) -> None:
    """Strict by default."""
    of = tenancy(tmp_path)
    assert of.tenants == frozenset()
    assert not ever(of.meter("m", A))
    assert not ever(of.agent("gw", A))
    assert not ever(of.resource("gw", "meter:m", A))


def test_the_particular_comes_before_the_general(tmp_path: Path) -> None:
    """Resource of an agent, asset, meter, agent, site."""
    of = tenancy(tmp_path, ("s", "tenant", "a"))
    assert ever(of.meter("m", A))
    assert ever(of.agent("gw", A))
    assert ever(of.resource("x", "gpu:0", A))
    of = tenancy(tmp_path, ("s", "tenant", "a"), ("agent:gw", "tenant", "b"))
    assert ever(of.agent("gw", B))
    assert ever(of.resource("gw", "gpu:0", B))
    assert ever(of.meter("m", B)), "all its feeds are of that agent"
    assert ever(of.meter("bare", A))
    facts = [("agent:gw", "tenant", "b"), ("m", "tenant", "a")]
    of = tenancy(tmp_path, *facts)
    assert ever(of.meter("m", A))
    assert ever(of.resource("gw", "meter:m", A)), "it feeds a meter of a's"
    assert ever(of.resource("gw", "gpu:0", B))
    of = tenancy(tmp_path, *facts, ("outlet:pdu3.1", "tenant", "b"))
    assert ever(of.resource("gw", "outlet:pdu3.1", B))
    of = tenancy(tmp_path, *facts, ("gw/gpu:0", "tenant", "a"))
    assert ever(of.resource("gw", "gpu:0", A))
    assert ever(of.resource("gw", "gpu:1", B))
    assert not ever(of.resource("other", "gpu:0", A | B))


def test_feeds_that_disagree_make_a_meter_nobodys(tmp_path: Path) -> None:
    """Also where one of them is nobody's, and whatever the site says."""
    site = ("s", "tenant", "a")
    for facts in (
        [site, ("gw/meter:m", "tenant", "a"), ("outlet:pdu3.1", "tenant", "b")],
        [site, ("gw/meter:m", "tenant", "a")],
    ):
        of = tenancy(tmp_path, *facts)
        assert not ever(of.meter("m", A | B)), facts
    of = tenancy(tmp_path, ("gw/meter:m", "tenant", "a"), ("outlet:pdu3.1", "tenant", "a"))
    assert ever(of.meter("m", A))


HOSTED = """
[[hosts]]
id = "srv"
feeds = ["bmc/host:serial", "vc/host:uuid"]
"""


def test_a_declared_host_is_whose_its_id_is(tmp_path: Path) -> None:
    """And so is what feeds it; without a word of its own, what all its feeds agree on."""
    of = tenancy(tmp_path, ("srv", "tenant", "a"), ("agent:vc", "tenant", "b"), hosts=HOSTED)
    assert ever(of.subject("srv", A))
    assert not ever(of.subject("srv", B))
    assert ever(of.resource("vc", "host:uuid", A)), "it feeds a host of a's"
    assert ever(of.resource("vc", "host:other", B))
    assert ever(of.subject("vc/host:other", B))
    of = tenancy(tmp_path, ("agent:vc", "tenant", "b"), hosts=HOSTED)
    assert not ever(of.subject("srv", B)), "the other feed is nobody's"
    of = tenancy(tmp_path, ("agent:vc", "tenant", "b"), ("agent:bmc", "tenant", "b"), hosts=HOSTED)
    assert ever(of.subject("srv", B))
    of = tenancy(tmp_path, ("srv", "rack", "r1"), ("rack:r1", "tenant", "a"), hosts=HOSTED)
    assert ever(of.subject("srv", A))
    assert ever(of.resource("bmc", "host:serial", A))
    of = tenancy(tmp_path, ("m", "tenant", "a"))
    assert ever(of.subject("m", A))
    with pytest.raises(KeyError):
        of.subject("srv", A)


def test_places_pass_their_tenant_on(tmp_path: Path) -> None:
    """A rack's, or the room's in which the rack stands; a circle of places ends."""
    of = tenancy(tmp_path, ("agent:gw", "rack", "r1"), ("rack:r1", "tenant", "a"))
    assert ever(of.agent("gw", A))
    assert ever(of.resource("gw", "host", A))
    of = tenancy(
        tmp_path, ("m", "rack", "r1"), ("rack:r1", "room", "east"), ("room:east", "tenant", "b")
    )
    assert ever(of.meter("m", B))
    of = tenancy(tmp_path, ("m", "rack", "r1"), ("rack:r1", "rack", "r1"), ("s", "tenant", "a"))
    assert ever(of.meter("m", A))


def test_an_empty_value_takes_a_thing_out(tmp_path: Path) -> None:
    """The operator's own outlet in a tenant's rack."""
    of = tenancy(tmp_path, ("agent:gw", "tenant", "a"), ("gw/psu:0", "tenant", ""))
    assert not ever(of.resource("gw", "psu:0", A))
    assert of.tenants == A


def test_dates_bound_what_is_held(tmp_path: Path) -> None:
    """Half-open spans, joined where one tenant follows itself; each meter's own bounds."""
    of = tenancy(
        tmp_path,
        ("m", "tenant", "a", 'valid_to = "2026-02-01"'),
        ("m", "tenant", "b", 'valid_from = "2026-02-01"', 'valid_to = "2026-03-01"'),
        ("m", "tenant", "a", 'valid_from = "2026-03-01"'),
        ("bare", "tenant", "a", 'valid_from = "2026-01-01"'),
    )
    february, march = 1_769_904_000_000, 1_772_323_200_000
    held = of.meter("m", A)
    assert held == (Validity(None, february), Validity(march, None))
    assert of.meter("m", B) == (Validity(february, march),)
    assert of.meter("m", A | B) == (Validity(),)
    assert holds(held, february - 1)
    assert not holds(held, february)
    assert holds(held, march)
    assert within(held, 0, february) == held[0]
    assert within(held, february - 1, february + 1) is None
    assert within(held, 0, march + 1) is None, "a span over what was another's is not one's own"
    (bare,) = of.meter("bare", A)
    assert bare.to_ms is None


def test_a_site_that_is_called_like_a_thing_lends_its_tenant_to_nothing_else(
    tmp_path: Path,
) -> None:
    """One name for a site and a meter: what is said of it is said of the meter alone."""
    path = tmp_path / "site.toml"
    text = HEAD.replace('name = "s"', 'name = "bare"')
    path.write_text(
        f'{text}[[attributes]]\nsubject = "bare"\nname = "tenant"\nvalue = "a"\n', encoding="utf-8"
    )
    of = Tenancy(sites.load(path))
    assert ever(of.meter("bare", A))
    assert not ever(of.meter("m", A))
    assert not ever(of.agent("gw", A))


@pytest.mark.parametrize(
    ("subject", "accepted"),
    [
        ("gw/gpu:0", True),
        ("any.agent/host", True),
        ("agent:gw", True),
        ("rack:a12", True),
        ("guest:uuid-1", True),
        ("outlet:pdu3.1", True),
        ("gpu:0", False),
        ("sensor:inlet", False),
        ("gw/nothing:1", False),
        ("/host", False),
        ("somebody", False),
    ],
)
def test_a_subject_must_name_one_thing(tmp_path: Path, subject: str, accepted: bool) -> None:
    """``gpu:0`` is on every machine: a fact about it would be read as one about all of them."""
    if accepted:
        assert tenancy(tmp_path, (subject, "tenant", "a")).tenants == A
        return
    with pytest.raises(ConfigurationError) as caught:
        tenancy(tmp_path, (subject, "tenant", "a"))
    assert caught.value.key == "attributes[0].subject"


def test_names_of_forms_are_no_names_of_sites(tmp_path: Path) -> None:
    """``/login`` is an address of the console."""
    for name in ("login", "logout", "audit"):
        path = tmp_path / "site.toml"
        path.write_text(HEAD.replace('name = "s"', f'name = "{name}"'), encoding="utf-8")
        with pytest.raises(ConfigurationError, match="address of the console"):
            sites.load(path)
