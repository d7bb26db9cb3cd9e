"""Numbers out of messages: plain, JSON, SenML, and whatever else somebody publishes."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_agent.sources.mqtt.config import MOST_POINTS, MqttPoint, MqttSettings
from jauge_agent.sources.mqtt.payload import LARGEST_PAYLOAD, Found, NoNumberError, found_in
from jauge_agent.sources.mqtt.values import MOST_SERIES, LastValues
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of

NOW = 1_800_000_000.0


def point(**changes: Any) -> MqttPoint:
    """A water meter's point, but for the changes."""
    usual = {"topic": "w/1", "resource": "meter:W1", "quantity": "water", "unit": "l"}
    return MqttPoint(**{**usual, **changes})


def power(**changes: Any) -> MqttPoint:
    """A power, but for the changes."""
    return point(**{"quantity": "power", "unit": "kW", **changes})


def reason(payload: bytes, of: MqttPoint) -> str:
    """Why there is no number."""
    with pytest.raises(NoNumberError) as error:
        found_in(payload, of)
    return error.value.reason


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"1500", 1.5),
        (b" 1500.0\n", 1.5),
        (b"1.5e3", 1.5),
        (b"0", 0.0),
        (b"-2", -0.002),
    ],
)
def test_a_plain_number_is_read(payload: bytes, value: float) -> None:
    """In the unit of the catalogue."""
    found = found_in(payload, point(payload="plain"))
    assert found.value == pytest.approx(value)
    assert found.time_s is None


@pytest.mark.parametrize(
    "payload", [b"", b"on", b"1,5", b"12 l", b"nan", b"inf", b"0x10", b"1_000", b"\xff", b"1e400"]
)
def test_what_is_no_plain_number_is_none(payload: bytes) -> None:
    """Nothing is guessed."""
    assert reason(payload, point(payload="plain")) in ("value", "form")


def test_a_number_in_json_is_found_by_its_pointer() -> None:
    """Names, places in lists, escapes of RFC 6901, and a number written as a text."""
    text = json.dumps({"a": [{"b/c": 3}, {"~": "4.5"}], "": 7, "t": True, "n": None}).encode()
    assert found_in(text, power(path="/a/0/b~1c")).value == 3000
    assert found_in(text, power(path="/a/1/~0")).value == 4500
    assert found_in(text, power(path="/")).value == 7000
    assert found_in(b"12", power()).value == 12_000
    for path in ("/b", "/a/2", "/a/-", "/a/x", "/a/0/b~1c/d"):
        assert reason(text, power(path=path)) == "path"
    for path in ("/t", "/n", "/a", ""):
        assert reason(text, power(path=path)) == "value"


def mode(**changes: Any) -> MqttPoint:
    """A cooling unit's mode, but for the changes."""
    states = {"dry": 0, "wet": 1, "false": 0, "true": 1, "0": 0, "2": 0.5, "séc": 0, "damp": 1 / 3}
    return MqttPoint(
        **{
            "topic": "c/1",
            "resource": "cooling_unit:1",
            "quantity": "evaporative_cooling",
            "states": states,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("payload", "form", "value"),
    [
        (b"dry", "plain", 0),
        (b" wet\n", "plain", 1),
        (b"true", "plain", 1),
        (b"2", "plain", 0.5),
        (b"2.00", "plain", 0.5),
        ("séc".encode(), "plain", 0),
        (b'{"m":"wet"}', "json", 1),
        (b'{"m":false}', "json", 0),
        (b'{"m":2.0}', "json", 0.5),
        (b'{"m":"2"}', "json", 0.5),
        (b'{"m":"2.0"}', "json", 0.5),
        (b'{"m":"damp"}', "json", 1 / 3),
    ],
)
def test_a_state_is_worth_a_number(payload: bytes, form: Any, value: float) -> None:
    """A word, true or false, or a number, as the message has it."""
    assert found_in(payload, mode(payload=form, path="/m" if form == "json" else "")).value == value


UNKNOWN = (b'{"m":"frost"}', b'{"m":1}', b'{"m":null}', b'{"m":["wet"]}')
UNREAD = {b'{"m":1e999}': "form", b'{"m":"we': "form", b'{"n":"wet"}': "path"}


def test_a_state_without_a_meaning_is_no_value() -> None:
    """Nothing is guessed, and nothing becomes dry."""
    for payload in UNKNOWN:
        assert found_in(payload, mode(path="/m")) == Found(None, None)
    for payload, why in UNREAD.items():
        assert reason(payload, mode(path="/m")) == why


def test_a_clock_that_is_put_back_holds_no_state() -> None:
    """What comes after it is newer whatever the clock says; what came before it ages from then."""
    values = LastValues([mode(payload="plain"), mode(topic="c/2", resource="cooling_unit:2")])
    values.take("c/1", b"wet", kept=False, now_s=NOW + 86_400)
    values.take("c/2", b'"wet"', kept=False, now_s=NOW + 86_400)
    values.take("c/1", b"dry", kept=False, now_s=NOW)
    samples, _ = values.read(NOW)
    assert [each.value for each in samples] == [0, 1]
    samples, failed = values.read(NOW + mode().max_age_s + 1)
    assert (samples, dict(failed)) == ([], {"stale": 2})


def test_after_a_clock_was_put_back_a_time_of_the_device_counts_again() -> None:
    """It is older than the one before only by a clock that was wrong."""
    values = LastValues([mode(path="/m", time="/t", time_form="unix")])

    def take(state: str, time_s: float, now_s: float) -> list[float]:
        told = json.dumps({"m": state, "t": time_s}).encode()
        values.take("c/1", told, kept=False, now_s=now_s)
        return [each.value for each in values.read(now_s)[0]]

    assert take("wet", NOW + 86_400, NOW + 86_400) == [1]
    assert take("dry", NOW, NOW) == [0]
    assert take("wet", NOW - 10, NOW + 1) == [0]


@pytest.mark.parametrize("payload", ["arrêt".encode(), "arrêt".encode("latin-1"), b""])
def test_whatever_a_plain_message_says_ends_the_state_before(payload: bytes) -> None:
    """All of it stands in the place of the state, in whatever letters."""
    values = LastValues([mode(payload="plain")])
    values.take("c/1", b"wet", kept=False, now_s=NOW)
    values.take("c/1", payload, kept=False, now_s=NOW + 1)
    samples, failed = values.read(NOW + 2)
    assert (samples, dict(failed)) == ([], {"state": 1})


@pytest.mark.parametrize(
    ("told", "form", "time_s"),
    [
        ("2026-11-24T10:00:00Z", "iso8601", 1_795_514_400.0),
        ("2026-11-24T11:00:00+01:00", "iso8601", 1_795_514_400.0),
        (1_795_514_400, "unix", 1_795_514_400.0),
        ("1795514400.5", "unix", 1_795_514_400.5),
        (1_795_514_400_250, "unix_ms", 1_795_514_400.25),
    ],
)
def test_the_time_of_the_measurement_may_be_told(told: Any, form: Any, time_s: float) -> None:
    """As a moment with its zone, in seconds or in milliseconds."""
    text = json.dumps({"v": 1, "t": told}).encode()
    assert found_in(text, power(path="/v", time="/t", time_form=form)).time_s == time_s


@pytest.mark.parametrize(
    ("told", "form"),
    [
        ("2026-11-24T10:00:00", "iso8601"),
        ("yesterday", "iso8601"),
        (5, "iso8601"),
        (1_795_514_400_250, "unix"),
        (0, "unix"),
        (-1, "unix"),
        (10**400, "unix"),
    ],
)
def test_a_time_that_is_none_makes_no_reading(told: Any, form: Any) -> None:
    """Without its zone, before there were such meters, or nonsense."""
    text = json.dumps({"v": 1, "t": told}).encode()
    assert reason(text, power(path="/v", time="/t", time_form=form)) in ("time", "value")


def test_a_record_of_senml_is_found_by_its_whole_name() -> None:
    """With base name, unit, value and time; the latest where a pack holds several."""
    pack = [
        {"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1_795_514_400, "bu": "kW", "bv": 1, "n": "p",
         "v": 2},
        {"n": "p", "t": 60, "v": 3},
        {"n": "p", "t": -60, "v": 9},
        {"n": "v", "u": "V", "v": 230},
        {"n": "s", "vs": "text"},
    ]  # fmt: skip
    text = json.dumps(pack).encode()
    whole = "urn:dev:ow:10e2073a01080063:"
    assert found_in(text, power(payload="senml", record=f"{whole}p", unit="")) == Found(
        4000, 1_795_514_460
    )
    for record, unit, why in (
        ("p", "", "path"),
        (f"{whole}x", "", "path"),
        (f"{whole}s", "", "path"),
        (f"{whole}v", "", "unit"),
    ):
        assert reason(text, power(payload="senml", record=record, unit=unit)) == why
    assert found_in(b'[{"n":"p","v":2}]', power(payload="senml", record="p", unit="W")) == Found(
        2, None
    )
    for text_, why in (
        (b"{}", "form"),
        (b"[1]", "form"),
        (b'[{"n":1,"v":1}]', "form"),
        (b'[{"n":"p","v":1,"x_":1}]', "form"),
        (b'[{"n":"p","u":"W","v":1,"t":5}]', "time"),
        (b'[{"n":"p","u":"W","v":true}]', "value"),
        (b"[" + b"{}," * 2001 + b"{}]", "form"),
    ):
        assert reason(text_, power(payload="senml", record="p", unit="")) == why


def test_large_and_deep_messages_are_not_looked_at() -> None:
    """Whoever may publish cannot make the agent busy."""
    assert reason(b"1" * (LARGEST_PAYLOAD + 1), power()) == "size"
    assert reason(b"[" * 50_000, power()) == "form"
    assert reason(b"9" * 60_000, power()) in ("value", "form")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantity": "wine"}, "'wine' is no quantity"),
        ({"quantity": "water_amount"}, "take the running total"),
        ({"unit": "kWh"}, "unit 'kWh' is none of water; known are m3, l"),
        ({"unit": ""}, "unit '' is none of water"),
        ({"topic": "a/b+/c"}, "stands for a whole level"),
        ({"topic": "a/#/c", "resource": "meter:x"}, "# stands last"),
        ({"topic": "a/+"}, "may be of many"),
        ({"topic": "a/+", "resource": "meter:{2}"}, "the topic has 1 wildcards"),
        ({"resource": "wine:{1}"}, "wildcards"),
        ({"resource": "wine:1"}, "is none, such as meter:W1"),
        ({"path": "a/b"}, "begins with /"),
        ({"payload": "plain", "time": "/t"}, "time must be left out"),
        ({"payload": "senml"}, "record is missing"),
        ({"states": {"on": 1}}, "without unit and scale"),
        ({"states": {"on": 1}, "unit": ""}, "states must be left out: water is no gauge"),
        (
            {"states": {"half": 0.5}, "unit": "", "quantity": "on_battery"},
            "states: half is worth 0.5, of which on_battery would tell 0",
        ),
        (
            {"states": {"wet": 2}, "unit": "", "quantity": "evaporative_cooling"},
            "states: wet is worth 2, evaporative_cooling is 0 to 1",
        ),
    ],
)
def test_a_mistake_in_a_point_is_said_at_start(changes: dict[str, Any], message: str) -> None:
    """By its key, before anything is subscribed."""
    tree = {"topic": "w/1", "resource": "meter:W1", "quantity": "water", "unit": "l", **changes}
    with pytest.raises(msgspec.ValidationError, match="points") as error:
        msgspec.convert({"points": [tree]}, MqttSettings)
    assert message in str(error.value)


def test_two_points_never_give_one_value() -> None:
    """And there is a most."""
    with pytest.raises(ValueError, match="meter:W1/water is given by two points"):
        MqttSettings(points=[point(), point(topic="w/2")])
    tree = {"topic": "w/1", "resource": "meter:W1", "quantity": "water", "unit": "l"}
    many = [{**tree, "resource": f"meter:{at}"} for at in range(MOST_POINTS + 1)]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"points": many}, MqttSettings)


def test_a_file_of_the_broker_that_cannot_be_used_is_said_at_start() -> None:
    """Only where there is a point that needs the broker."""
    from jauge_agent.config import BrokerConfig

    broker = BrokerConfig(ca_file="/nowhere/ca.pem")
    MqttSettings(broker=broker)
    with pytest.raises(ValueError, match=r"ca_file of .*/nowhere/ca\.pem cannot be read"):
        MqttSettings(broker=broker, points=[point()])
    for written in ("hunter2!", "/hunter2!"):
        broker = BrokerConfig(username="u", password_file=written)
        with pytest.raises(ValueError, match=r"password_file of .*: this .*cannot") as error:
            MqttSettings(broker=broker, points=[point()])
        assert "hunter2" not in str(error.value)
    with pytest.raises(ValueError, match="are given together"):
        MqttSettings(broker=BrokerConfig(key_file="k"), points=[point()])
    with pytest.raises(ValueError, match="a password needs one"):
        MqttSettings(broker=BrokerConfig(password_file="p"), points=[point()])


def values(*points: MqttPoint) -> LastValues:
    """Nothing heard yet."""
    return LastValues(points)


def told(held: LastValues, now_s: float) -> dict[str, float]:
    """What a reading gives."""
    samples, _ = held.read(now_s)
    return {f"{each.resource}/{each.quantity}": each.value for each in samples}


def test_a_gauge_holds_until_its_age_and_not_longer() -> None:
    """A stale value is no value."""
    held = values(power(max_age_s=120))
    held.take("w/1", b"2", kept=False, now_s=NOW)
    assert told(held, NOW + 60) == {"meter:W1/power": 2000}
    assert told(held, NOW + 120) == {"meter:W1/power": 2000}
    samples, failed = held.read(NOW + 121)
    assert (samples, failed) == ([], {"stale": 1})
    held.take("w/1", b"3", kept=False, now_s=NOW + 130)
    assert told(held, NOW + 131) == {"meter:W1/power": 3000}


@pytest.mark.parametrize("topic", ["c/1", "c/+"])
def test_a_state_that_is_not_understood_ends_the_one_before(topic: str) -> None:
    """However long that might have held; what cannot be read is no news of a state."""
    resource = "cooling_unit:1" if topic == "c/1" else "cooling_unit:{1}"
    held = values(mode(path="/m", topic=topic, resource=resource, max_age_s=86_400))
    for hour, payload in enumerate(UNKNOWN):
        now_s = NOW + 3600 * hour
        held.take("c/1", b'{"m":"dry"}', kept=False, now_s=now_s)
        for unread in UNREAD:
            held.take("c/1", unread, kept=False, now_s=now_s + 1)
        assert told(held, now_s + 2) == {"cooling_unit:1/evaporative_cooling": 0}
        held.take("c/1", payload, kept=False, now_s=now_s + 3)
        assert held.read(now_s + 60) == held.read(now_s + 120) == ([], {"state": 1})
    assert held.read(NOW + 172_800) == ([], {"stale": 1})
    held.take("c/1", b'{"m":"wet"}', kept=False, now_s=NOW + 172_800)
    assert told(held, NOW + 172_860) == {"cooling_unit:1/evaporative_cooling": 1}


def test_a_state_that_is_not_understood_is_believed_no_sooner_than_one_that_is() -> None:
    """Of another topic, of the future, of earlier, or of nobody knows when, it ends nothing."""
    held = values(
        mode(path="/m", time="/t", time_form="unix"),
        mode(path="/m", topic="d/+", resource="cooling_unit:{1}"),
    )
    dry = json.dumps({"m": "dry", "t": NOW - 20}).encode()
    held.take("c/1", dry, kept=True, now_s=NOW)
    held.take("d/1", UNKNOWN[0], kept=False, now_s=NOW)
    held.take("d/2", b'{"m":"wet"}', kept=False, now_s=NOW)
    held.take("d/2", UNKNOWN[0], kept=True, now_s=NOW)
    for at in (NOW - 30, NOW + 3600):
        held.take("c/1", json.dumps({"m": "frost", "t": at}).encode(), kept=False, now_s=NOW)
    samples, failed = held.read(NOW)
    assert [(each.resource, each.value) for each in samples] == [
        ("cooling_unit:1", 0),
        ("cooling_unit:2", 1),
    ]
    assert failed == {"duplicate": 1, "retained": 1, "future": 1}
    held.take("c/1", json.dumps({"m": "frost", "t": NOW - 10}).encode(), kept=True, now_s=NOW)
    held.take("c/1", dry, kept=False, now_s=NOW)
    assert told(held, NOW) == {"cooling_unit:2/evaporative_cooling": 1}


def test_a_state_that_was_never_understood_brings_no_resource() -> None:
    """A wildcard may match topics that tell something else."""
    held = values(mode(topic="c/+", resource="cooling_unit:{1}", payload="plain"))
    held.take("c/1", b"192.0.2.7", kept=False, now_s=NOW)
    assert held.read(NOW) == ([], {"state": 1})
    assert held.resources() == []


def test_a_running_total_is_given_once_for_each_message() -> None:
    """Repeated it would say that nothing flowed meanwhile."""
    held = values(point(max_age_s=3600))
    held.take("w/1", b"1000", kept=False, now_s=NOW)
    assert told(held, NOW + 60) == {"meter:W1/water": 1}
    assert held.read(NOW + 120) == ([], {})
    held.take("w/1", b"1000", kept=False, now_s=NOW + 130)
    assert told(held, NOW + 180) == {"meter:W1/water": 1}


def test_a_told_time_makes_the_age() -> None:
    """A late one is stale at once; one from the future is not believed; an older one is ignored."""
    held = values(power(path="/v", time="/t", time_form="unix", max_age_s=120))

    def say(value: float, at: float, *, now_s: float = NOW, kept: bool = False) -> None:
        held.take("w/1", json.dumps({"v": value, "t": at}).encode(), kept=kept, now_s=now_s)

    say(1, NOW - 200)
    assert held.read(NOW) == ([], {"stale": 1})
    say(2, NOW - 20, kept=True)
    assert told(held, NOW) == {"meter:W1/power": 2000}
    say(3, NOW - 30)
    assert told(held, NOW) == {"meter:W1/power": 2000}
    say(4, NOW + 3600)
    samples, failed = held.read(NOW)
    assert ([each.value for each in samples], failed) == ([2000], {"future": 1})


def test_what_the_broker_had_kept_without_a_time_is_not_used() -> None:
    """It may be a year old."""
    held = values(power())
    held.take("w/1", b"2", kept=True, now_s=NOW)
    assert held.read(NOW) == ([], {"retained": 1, "silent": 1})


def test_a_wildcard_stands_for_many_devices() -> None:
    """Each becomes a resource when it is first heard; a name that is none is counted."""
    held = values(
        power(topic="site/+/meter/+/power", resource="meter:{1}.{2}", labels={"hall": "A"}),
    )
    assert held.resources() == []
    assert not held.changed
    held.take("site/h1/meter/7/power", b"1", kept=False, now_s=NOW)
    held.take("site/h 2/meter/8/power", b"2", kept=False, now_s=NOW)
    held.take("site/h1/meter/7/energy", b"9", kept=False, now_s=NOW)
    held.take("site/-/meter/7/power", b"9", kept=False, now_s=NOW)
    assert [each.id for each in held.resources()] == ["meter:h1.7", "meter:h-2.8"]
    samples, failed = held.read(NOW)
    assert [each.value for each in samples] == [1000, 2000]
    assert failed == {"name": 1}


def test_topics_of_others_cannot_bring_series_without_end() -> None:
    """Beyond the most they are counted and left alone."""
    held = values(power(topic="m/+", resource="meter:{1}"))
    for at in range(MOST_SERIES + 5):
        held.take(f"m/{at}", b"1", kept=False, now_s=NOW)
    samples, failed = held.read(NOW)
    assert len(samples) == MOST_SERIES
    assert failed == {"limits": 5}


@pytest.mark.parametrize(
    ("topics", "names"),
    [
        (("site/rack 1/power", "site/rack-1/power"), ["meter:rack-1"]),
        (("site/\u00e91/power", "site/\u00e01/power"), ["meter:1"]),
        (("site/x/power", "hall/x/power"), ["meter:x"]),
    ],
)
def test_two_topics_never_mix_in_one_series(
    topics: tuple[str, str], names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The first has it; the other is counted each time, and named once."""
    held = values(
        power(topic="site/+/power", resource="meter:{1}"),
        power(topic="hall/+/power", resource="meter:{1}"),
    )
    first, second = topics
    held.take(first, b"1", kept=False, now_s=NOW)
    for at in range(3):
        held.take(second, b"9", kept=False, now_s=NOW + at)
    samples, failed = held.read(NOW + 3)
    assert [(each.resource, each.value) for each in samples] == [(names[0], 1000)]
    assert failed == {"duplicate": 3}
    held.take(first, b"2", kept=False, now_s=NOW + 4)
    assert told(held, NOW + 5) == {f"{names[0]}/power": 2000}
    assert [r.message for r in caplog.records] == ["topic repeats another"]


def test_a_topic_that_is_named_comes_before_one_that_a_wildcard_brings() -> None:
    """Even when the other is heard first."""
    held = values(power(topic="m/+", resource="meter:{1}"), power(topic="w/1", resource="meter:W1"))
    held.take("m/W1", b"9", kept=False, now_s=NOW)
    held.take("w/1", b"1", kept=False, now_s=NOW)
    samples, failed = held.read(NOW)
    assert [(each.resource, each.value) for each in samples] == [("meter:W1", 1000)]
    assert failed == {"duplicate": 1}


def test_a_total_of_earlier_is_late_by_its_age_limit_at_most() -> None:
    """A sample has no time but its tick's: what is older than the limit is not given as of now."""
    held = values(point(path="/v", time="/t", time_form="unix", max_age_s=30))
    held.take("w/1", json.dumps({"v": 1000, "t": NOW - 20}).encode(), kept=False, now_s=NOW)
    assert told(held, NOW + 9) == {"meter:W1/water": 1}
    held.take("w/1", json.dumps({"v": 2000, "t": NOW - 19}).encode(), kept=False, now_s=NOW)
    assert held.read(NOW + 12) == ([], {"stale": 1})


def test_one_message_may_hold_several_points() -> None:
    """And a last # stands for the rest of the topic."""
    held = values(
        power(topic="t/+/#", path="/p", resource="meter:{1}"),
        point(topic="t/+/#", path="/w", resource="meter:{1}", quantity="voltage", unit="V"),
    )
    held.take("t/a/b/c", b'{"p": 2, "w": 231}', kept=False, now_s=NOW)
    assert told(held, NOW) == {"meter:a/power": 2000, "meter:a/voltage": 231}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["v", "n", "t", "bn", "bt", "u", "bu", "bv", "a"]), inner)
    ),
    max_leaves=12,
)
POINTS = (
    power(path="/v"),
    power(path="/v/0/n", time="/t", time_form="unix", resource="meter:a"),
    power(path="/v", time="/t", resource="meter:b"),
    power(payload="senml", record="p", unit="", resource="meter:c"),
    power(payload="plain", resource="meter:d"),
    point(path="/a", quantity="energy", unit="GJ", scale=1e9, resource="meter:e"),
)


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=60)
        | JSON.map(lambda tree: json.dumps(tree).encode())
        | st.lists(
            st.fixed_dictionaries(
                {}, optional=dict.fromkeys(("n", "v", "t", "bn", "bt", "u", "bv"), JSON)
            ),
            max_size=4,
        ).map(lambda tree: json.dumps(tree).encode()),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_message_gives_readings_within_the_catalogue_or_none(
    payloads: list[bytes], kept: bool
) -> None:
    """Whatever somebody publishes: no crash, and nothing that the collector would refuse."""
    held = LastValues(POINTS)
    for payload in payloads:
        held.take("w/1", payload, kept=kept, now_s=NOW)
    samples, failed = held.read(NOW)
    for sample in samples:
        assert math.isfinite(sample.value)
        unit = CATALOGUE[sample.quantity].unit
        assert flaw_of(sample.resource, sample.quantity, unit, sample.value) is None
    assert all(count > 0 for count in failed.values())
