"""The configuration file: errors that name file, key and fix; a sample made from the structs."""

from pathlib import Path

import pytest
from jauge_agent import config
from jauge_agent.config import AgentConfig
from jauge_agent.document import sample
from jauge_agent.sources import BUILT_IN, OF_DEVICES
from jauge_models.configuration import ConfigurationError
from jauge_models.resources import is_name

SAMPLE = Path(config.__file__).with_name("agent.sample.toml")


def written(directory: Path, text: str) -> Path:
    """A configuration file."""
    path = directory / "agent.toml"
    path.write_text(text)
    return path


def refused(directory: Path, text: str) -> str:
    """The one line a user sees for a bad file."""
    path = written(directory, text)
    with pytest.raises(ConfigurationError) as error:
        config.configured_sources(config.read(path).sources, file=str(path))
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_site_is_all_that_must_be_said(tmp_path: Path) -> None:
    """Every other key has a default; the agent is named after the host."""
    read = config.read(written(tmp_path, 'site = "lab"'))
    assert read.address.site == "lab"
    assert is_name(read.address.agent)
    sources = config.configured_sources(read.sources, file="x")
    assert [source.name for source in sources] == list(BUILT_IN)
    assert all(source.settings.enabled for source in sources)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "site: missing; add this key"),
        ('site = "lab"\nagnt = "x"', "agnt: unknown key; did you mean 'agent'?"),
        ('site = "a b"', "site: 'a b' is not a name"),
        ('site = "lab"\nagent = "a/b"', "agent: 'a/b' is not a name"),
        ('site = "lab"\n[broker]\nprot = 1', "broker.prot: unknown key; did you mean 'port'?"),
        ('site = "lab"\n[broker]\nport = 0', "broker.port: expected `int` >= 1"),
        ('site = "lab"\n[broker]\nport = "1883"', "broker.port: expected `int"),
        (
            'site = "lab"\n[broker]\ntls = false\nca_file = "x"',
            "broker.ca_file: is given but TLS is off",
        ),
        ('site = "lab"\n[broker]\npassword_file = "x"', "broker.username: missing"),
        (
            'site = "lab"\n[broker]\nusername = "u"\npassword_file = "/nowhere/p"',
            "broker.password_file: /nowhere/p cannot be read",
        ),
        ('site = "lab"\n[broker]\ncert_file = "c"', "broker.key_file: missing"),
        ('site = "lab"\n[sources.hots]', "sources.hots: unknown source; known sources are host"),
        ('site = "lab"\n[sources.host]\nperiod = 1', "sources.host.period: unknown key; did you"),
        ('site = "lab"\n[sources.host]\nperiod_s = 0', "sources.host.period_s: expected `float`"),
        ("site = ", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    """File, key, problem and fix."""
    assert message in refused(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path and the way out are said."""
    with pytest.raises(ConfigurationError, match=r"cannot be read: No such file.*--config FILE"):
        config.read(tmp_path / "none.toml")


def test_settings_of_a_source_arrive(tmp_path: Path) -> None:
    """A section changes its source alone."""
    path = written(tmp_path, 'site = "lab"\n[sources.host]\nperiod_s = 5\nenabled = false')
    sources = {s.name: s for s in config.configured_sources(config.read(path).sources, file="x")}
    assert sources["host"].settings.period_s == 5
    assert not sources["host"].settings.enabled
    assert sources["rapl"].settings.period_s == 30


def test_a_secret_may_be_a_systemd_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative name is looked for where systemd puts credentials; the line's end is no part."""
    (tmp_path / "mqtt").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert config.secret("mqtt") == "s3cret"
    assert config.secret(str(tmp_path / "mqtt")) == "s3cret"


def test_the_sample_is_generated_and_valid(tmp_path: Path) -> None:
    """The file in the package is what the structs give, and can be used as it is."""
    assert SAMPLE.read_text() == sample()
    read = config.read(SAMPLE)
    assert read.site == "paris-1"
    config.configured_sources(read.sources, file=str(SAMPLE))


def test_the_defaults_of_the_sample_are_the_defaults(tmp_path: Path) -> None:
    """Taking the mark off every commented default changes nothing."""
    lines: list[str] = []
    example = False  # a section behind a mark is left out by default
    for line in SAMPLE.read_text().splitlines():
        if line.lstrip("#").startswith("["):
            example = line.startswith("#")
        if not example and not line.endswith(" ="):
            marked = line.startswith("#") and not line.startswith("# ")
            lines.append(line.removeprefix("#") if marked else line)
    read = config.read(written(tmp_path, "\n".join(lines)))
    plain = AgentConfig(site="paris-1")
    for name in ("broker", "spool", "delivery", "metrics", "log"):
        assert getattr(read, name) == getattr(plain, name)
    for source in config.configured_sources(read.sources, file="x"):
        assert source.settings == type(source.settings)()


def test_every_key_is_documented() -> None:
    """No key of the sample stands without a line that says what it is."""
    before = ""
    for line in SAMPLE.read_text().splitlines():
        is_key = "=" in line and not line.startswith("# ")
        if is_key:
            assert before.startswith("# "), line
        before = line


def test_a_running_agent_leaves_out_what_has_no_device(tmp_path: Path) -> None:
    """Sources of devices are not even imported until they have a section; the others run."""
    read = config.read(written(tmp_path, 'site = "lab"\n[sources.mqtt]\nenabled = false'))
    names = [s.name for s in config.configured_sources(read.sources, file="x", idle=False)]
    assert names == [name for name in BUILT_IN if name not in OF_DEVICES or name == "mqtt"]
    assert set(BUILT_IN) > OF_DEVICES
