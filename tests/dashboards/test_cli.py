"""The command line ``jauge-dashboards``."""

import json
from pathlib import Path

import pytest
from jauge_dashboards import building, cli, queries
from jauge_dashboards.words import LANGUAGES


def test_build_writes_one_language_or_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dashboards, provisioning and alerts, each at its place, in the language asked for."""
    assert cli.main(["build", "--out", str(tmp_path / "fr"), "--lang", "fr"]) == 0
    site = json.loads((tmp_path / "fr/dashboards/jauge-site.json").read_text("utf-8"))
    assert site["title"] == "Vue du site"
    assert (tmp_path / "fr/alerts/rules.yaml").is_file()
    assert cli.main(["build", "--out", str(tmp_path / "both")]) == 0
    for language in LANGUAGES:
        made = building.files(language)
        for path, text in made.items():
            assert (tmp_path / "both" / language / path).read_text("utf-8") == text
    assert capsys.readouterr().out.count("files") == 3


def test_build_takes_addresses_and_leaves_none_of_ours_behind(tmp_path: Path) -> None:
    """The console's, the store's, Grafana's folder; a dashboard that is no more goes."""
    old = tmp_path / "dashboards/jauge-old.json"
    other = tmp_path / "dashboards/other.json"
    old.parent.mkdir()
    for file in (old, other):
        file.write_text("{}", encoding="utf-8")
    given = [
        *("--console", "https://console.example.org"),
        *("--store", "http://store:8428", "--folder", "/srv/grafana"),
    ]
    assert cli.main(["build", "--out", str(tmp_path), "--lang", "en", *given]) == 0
    assert not old.exists()
    assert other.exists()
    site = json.loads((tmp_path / "dashboards/jauge-site.json").read_text("utf-8"))
    constant = next(one for one in site["templating"]["list"] if one["type"] == "constant")
    assert constant["query"] == "https://console.example.org"
    source = (tmp_path / "provisioning/datasources/jauge.yaml").read_text("utf-8")
    assert 'url: "http://store:8428"' in source
    provider = (tmp_path / "provisioning/dashboards/jauge.yaml").read_text("utf-8")
    assert 'path: "/srv/grafana"' in provider


def test_check_is_fine_with_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0 and one line."""
    assert cli.main(["check"]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.count("\n") == 1


def test_check_names_what_is_not_as_generated(tmp_path: Path) -> None:
    """A changed file, one too many, one too few."""
    for language in LANGUAGES:
        building.write(tmp_path / language, building.files(language))
    assert building.stale(tmp_path) == []
    (tmp_path / "fr/dashboards/jauge-site.json").write_text("{}", encoding="utf-8")
    (tmp_path / "fr/dashboards/jauge-new.json").write_text("{}", encoding="utf-8")
    (tmp_path / "en/provisioning/datasources/jauge.yaml").unlink()
    assert building.stale(tmp_path) == [
        "fr/dashboards/jauge-new.json",
        "fr/dashboards/jauge-site.json",
        "en/provisioning/datasources/jauge.yaml",
    ]


def test_check_fails_on_an_unknown_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each panel, status 1."""
    monkeypatch.setattr(queries, "KNOWN", queries.KNOWN - {"jauge_flow_cubic_metres_per_second"})
    assert cli.main(["check"]) == 1
    told = capsys.readouterr().err
    assert "jauge-dashboards: jauge-cooling, panel flows: unknown series" in told


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["check", "--schemas", "nowhere"], "holds no dashboard.jsonschema.json"),
        (["build", "--out", "x", "--thresholds", "nowhere.toml"], "nowhere.toml"),
        (["push", "--url", "http://grafana.example.org", "--token-file", "x"], "in clear"),
        (["push", "--url", "grafana", "--token-file", "x"], "is no address"),
        (["push", "--url", "http://127.0.0.1:1", "--token-file", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    words: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Never a traceback; the option or file is named."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert problem in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("command", ["", "build", "check", "push"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the program and of each command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "example: jauge-dashboards " in capsys.readouterr().out


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2 and one line."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["draw"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
