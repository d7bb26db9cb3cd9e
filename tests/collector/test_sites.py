"""Site files: what cannot be meant is refused at load, in one line with file, key and fix."""

from pathlib import Path

import pytest
from jauge_collector import sites
from jauge_models.boundaries import Place, Symbol
from jauge_models.configuration import ConfigurationError

SITE = """
[site]
name = "s"

[[meters]]
id = "main"
commodity = "electricity"
feeds = ["gw/meter:main"]

[[meters]]
id = "tank"
commodity = "fuel"

[[meters]]
id = "tap"
commodity = "water"

[[meters]]
id = "loop"
commodity = "heat"

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "main" }]
"""


def load(folder: Path, more: str = "", *changes: tuple[str, str]) -> sites.Site:
    """The site file with changes, and with more at its end."""
    text = SITE + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return sites.load(path)


def refused(folder: Path, more: str = "", *changes: tuple[str, str]) -> str:
    """What is said of a file, after its name."""
    with pytest.raises(ConfigurationError) as error:
        load(folder, more, *changes)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(f"{folder / 'site.toml'}: ")
    return said.removeprefix(f"{folder / 'site.toml'}: ")


def equation(symbol: str, terms: str, more: str = "") -> str:
    """One more equation."""
    return f'[[equations]]\nsymbol = "{symbol}"\nterms = [{terms}]\n{more}\n'


@pytest.mark.parametrize(
    ("symbol", "terms", "words"),
    [
        ("E_DC", '{ meter = "tap" }', "terms[0].meter: 'tap' measures water in m3, E_DC is energy"),
        ("E_RES-TOT", '{ meter = "tap" }', "terms[0].meter: 'tap' measures water in m3"),
        (
            "E_DC",
            '{ meter = "main" }, { meter = "tank" }',
            (
                "terms[1].joules_per_m3: missing: 'tank' measures fuel in m3, E_DC is energy in J; "
                "add the fuel's energy content, joules_per_m3 = 3.564e+10 for diesel (9.9 kWh/L"
            ),
        ),
        ("E_DC-BG", '{ meter = "tank", factor = 3.564e10 }', "terms[0].joules_per_m3: missing"),
        ("E_DC", '{ meter = "tank", joules_per_m3 = 9.9 }', "terms[0].joules_per_m3: expected"),
        ("E_DC", '{ meter = "main", joules_per_m3 = 3e10 }', "measures electricity, no fuel; drop"),
        ("W_IN", '{ meter = "main" }', "'main' measures electricity in J, W_IN is m3 of water"),
        ("W_IN-POT", '{ meter = "loop" }', "'loop' measures heat in J"),
        ("W_IN-FRE", '{ meter = "tank" }', "'tank' measures fuel in m3, W_IN-FRE is m3 of water"),
    ],
)
def test_a_total_holds_one_unit(tmp_path: Path, symbol: str, terms: str, words: str) -> None:
    """A meter of another unit than its total's is refused: m3 are never added to J."""
    said = refused(tmp_path, equation(symbol, terms))
    assert said.startswith("equations[1].terms[")
    assert words in said


def test_fuel_counts_by_its_energy_content(tmp_path: Path) -> None:
    """Half of a tank of diesel: 0.5 × 3.564e10 J for each m3; heat needs no conversion."""
    tank = '{ meter = "tank", factor = 0.5, joules_per_m3 = 3.564e10 }'
    site = load(tmp_path, equation("E_DC", f'{{ meter = "loop" }}, {tank}'))
    total = site.equation(Symbol.E_DC)
    assert total is not None
    assert [term.factor for term in total.terms] == [1.0, pytest.approx(0.5 * 9.9e3 * 3.6e6)]
    assert load(tmp_path, equation("W_IN", '{ meter = "tap", sign = -1 }')).equation(Symbol.W_IN)


FEEDS = 'feeds = ["gw/meter:main"]'


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("period_s = 0", "period_s"),
        ("period_s = -5", "period_s"),
        ("max_gap_s = 0", "max_gap_s"),
        ("max_gap_s = nan", "max_gap_s"),
        ("max_gap_s = inf", "max_gap_s"),
        ("max_gap_s = 1e300", "max_gap_s"),
        ("uncertainty = -0.1", "uncertainty"),
        ("uncertainty = 1.1", "uncertainty"),
        ("uncertainty = nan", "uncertainty"),
        ("rated_power_w = 0", "rated_power_w"),
        ("rated_power_w = -1", "rated_power_w"),
        ("rated_power_w = inf", "rated_power_w"),
        ("dial = { modulus = 0 }", "dial.modulus"),
        ("dial = { modulus = 1e308 }", "dial.modulus"),
        ("dial = { resolution = -0.1 }", "dial.resolution"),
        ("factors = [{ value = 0 }]", "factors[0].value"),
        ("factors = [{ value = -inf }]", "factors[0].value"),
        ("factors = [{ value = -2 }]", "factors[0].value"),
    ],
)
def test_numbers_of_a_meter_are_bounded(tmp_path: Path, line: str, key: str) -> None:
    """Nonsense is named with its key; nothing that is not finite gets in."""
    assert refused(tmp_path, "", (FEEDS, line)).startswith(f"meters[0].{key}: ")


@pytest.mark.parametrize("factor", ["0", "0.0", "nan", "inf", "-1", "1e300"])
def test_a_terms_factor_is_bounded(tmp_path: Path, factor: str) -> None:
    """A share of nothing, of no number, or with a sign that has a key of its own."""
    more = equation("E_DC", f'{{ meter = "main", factor = {factor} }}')
    assert refused(tmp_path, more).startswith("equations[1].terms[0].factor: ")


@pytest.mark.parametrize("value", ["-0.01", "nan", "inf", "50"])
def test_an_emission_factor_is_bounded(tmp_path: Path, value: str) -> None:
    """kgCO2e per kWh: none is below zero, and 50 is g taken for kg."""
    said = refused(
        tmp_path,
        f'[[emission_factors]]\nkg_co2e_per_kwh = {value}\nsource = "x"\nscope = "direct"\n',
    )
    assert said.startswith("emission_factors[0].kg_co2e_per_kwh: ")


def test_flow_of_water_is_bounded(tmp_path: Path) -> None:
    """A rated flow is more than nothing."""
    water = 'commodity = "water"'
    said = refused(tmp_path, "", (water, f"{water}\nrated_flow_m3_h = 0"))
    assert said.startswith("meters[2].rated_flow_m3_h: ")


IT = '{ meter = "main" }'
UPS = 'place = "ups_output"'


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (equation("E_DC", IT) * 2, "equations[2].symbol: E_DC is declared twice; date"),
        (equation("E_IT", IT, UPS), "equations[1].symbol: E_IT is declared twice; give it another"),
        (
            equation("E_SUB", IT, 'zone = "hall"') * 2,
            "equations[2].symbol: E_SUB of zone 'hall' is declared twice",
        ),
    ],
)
def test_a_total_is_declared_once(tmp_path: Path, more: str, words: str) -> None:
    """Of two equations of one total in one zone, which one counts would be chance."""
    assert refused(tmp_path, more).startswith(words)


def test_it_energy_may_be_metered_at_several_places(tmp_path: Path) -> None:
    """Each PUE category is an equation of its own, and each zone has its totals."""
    more = equation("E_IT", IT, 'place = "it_input"') + equation("E_IT", IT, f'{UPS}\nzone = "z"')
    found = load(tmp_path, more).equations
    assert [(e.place, e.zone) for e in found] == [
        (Place.UPS_OUTPUT, ""),
        (Place.IT_INPUT, ""),
        (Place.UPS_OUTPUT, "z"),
    ]


def test_a_meter_counts_once_at_a_time(tmp_path: Path) -> None:
    """Twice in one equation is refused where the dates overlap, and only there."""
    until, since = 'valid_to = "2026-02-01"', 'valid_from = "2026-02-01"'
    dated = f'{{ meter = "main", {until} }}, {{ meter = "main", factor = 0.5, {since} }}'
    assert load(tmp_path, equation("E_DC", dated)).equation(Symbol.E_DC) is not None
    said = refused(tmp_path, equation("E_DC", dated.replace(since, 'valid_from = "2026-01-31"')))
    assert said.startswith("equations[1].terms[1].meter: 'main' is there twice at one time; drop")
    assert "there twice" in refused(tmp_path, equation("E_DC", f"{IT}, {IT}"))


EVENT = '[[events]]\nkind = "bypass"\nbegin = "2026-01-01"\nend = "2026-01-02"\nsubject = "{}"\n'
LINK = '[[connections]]\nupstream = "{}"\ndownstream = "{}"\n'
FACT = '[[attributes]]\nsubject = "{}"\nname = "tenant"\nvalue = "x"\n'


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (LINK.format("mian", "pdu:a"), "connections[0].upstream: 'mian' is unknown; write 'kind:"),
        (LINK.format("main", "toaster:a"), "connections[0].downstream: 'toaster:a' is unknown"),
        (LINK.format("main", ""), "connections[0].downstream: '' is unknown"),
        (LINK.format("main", "main"), "connections[0].downstream: feeds itself"),
        (EVENT.format("mian"), "events[0].subject: 'mian' is unknown; write 'kind:id' such as"),
        (FACT.format("S"), "attributes[0].subject: 'S' is unknown; write 'kind:id' such as"),
    ],
)
def test_a_name_that_nothing_has_is_refused(tmp_path: Path, more: str, words: str) -> None:
    """A misspelt name would be read as something that stands nowhere."""
    said = refused(tmp_path, more)
    assert said.startswith(words)
    if "itself" not in words:
        assert "a meter: loop, main, tank, tap" in said


@pytest.mark.parametrize(
    "more",
    [
        LINK.format("ups:a", "main") + LINK.format("main", "meter:main"),
        EVENT.format("main") + EVENT.format("") + EVENT.format("gw/meter:main"),
        FACT.format("s") + FACT.format("rack:a12") + FACT.format("main"),
    ],
)
def test_names_that_are_known(tmp_path: Path, more: str) -> None:
    """Meters, what feeds them, resources by kind and id; the site itself; racks have facts."""
    assert load(tmp_path, more).name == "s"


def test_a_site_may_list_its_agents(tmp_path: Path) -> None:
    """Names and patterns; absent, any agent may report."""
    assert load(tmp_path).agents is None
    listed = load(tmp_path, "", ('name = "s"', 'name = "s"\nagents = ["gw", "srv-*"]')).agents
    assert listed is not None
    assert [name in listed for name in ("gw", "gw2", "srv-1", "srv")] == [True, False, True, False]


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        ("[]", "site.agents: names nobody; name the agents, or leave it out to take any"),
        ('["gw", "a/b"]', "site.agents[1]: 'a/b' is no name; letters, digits and '*'"),
        ('["srv-?"]', "site.agents[0]: 'srv-?' is no name"),
        ('[""]', "site.agents[0]: '' is no name"),
    ],
)
def test_agents_that_cannot_be_meant(tmp_path: Path, agents: str, words: str) -> None:
    """Nobody at all, and what no agent can be called."""
    said = refused(tmp_path, "", ('name = "s"', f'name = "s"\nagents = {agents}'))
    assert said.startswith(words)
