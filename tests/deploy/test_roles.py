"""Roles say what they take, take what they say, and can set every key of agent and collector."""

import enum
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]  # no stubs among the development tools
from jauge_agent import config as agent_config
from jauge_agent.sources import BUILT_IN, load
from jauge_collector.config import CollectorFile
from jauge_models.configuration import convert
from msgspec import inspect

from tests.deploy.rendered import ANSIBLE, ROLES, ROOT, Wanted, render

NAMES = sorted(path.name for path in ROLES.iterdir())
OPERATIONS = ROOT / "docs" / "operations.md"
SHARED_NAME = re.compile(r"\b(jauge_[a-z_]+)\b(?= ?(?:[|}~]|==|is defined|: ))")


def options(role: str) -> dict[str, Any]:
    """What the role's specification knows, of all its entry points."""
    text = (ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    entries = yaml.safe_load(text)["argument_specs"].values()
    return {name: about for entry in entries for name, about in entry.get("options", {}).items()}


def defaults(role: str) -> dict[str, Any]:
    """The role's own values."""
    text = (ROLES / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def texts(*folders: Path) -> Iterator[tuple[Path, str]]:
    """Every text file below folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path, path.read_text(encoding="utf-8")


def used(role: str) -> str:
    """Everything of a role in which a variable counts as used, playbooks for entry points too."""
    parts = [ROLES / role / name for name in ("tasks", "templates", "handlers")]
    return "\n".join(text for _, text in texts(*parts))


@pytest.mark.parametrize("role", NAMES)
def test_a_role_documents_and_uses_each_variable(role: str) -> None:
    """Defaults and specification agree, each option is described, and each is used somewhere."""
    told, given = options(role), defaults(role)
    body = used(role)
    derived = yaml.safe_dump(given)
    for name, about in told.items():
        assert name.startswith(f"{role}_"), name
        assert about.get("description"), name
        assert re.search(rf"\b{name}\b", body) or re.search(rf"\b{name}\b", derived), (
            f"{name} is used nowhere"
        )
        if about.get("required") is not True and name not in given:
            pytest.fail(f"{name} has no default")
        if "default" in about:
            assert about["default"] == given[name], name
    assert set(given) <= set(told), "documented nowhere"
    own = set(re.findall(rf"\b{role}_[a-z_]+\b", body))
    made = set(re.findall(r"register: ([a-z_]+)", body))
    for block in re.findall(r"set_fact:\n((?: {4,}.*\n)+)", body):
        made |= set(re.findall(r"(?m)^ +([a-z_]+): ", block))
    made |= set(re.findall(r"loop_var: ([a-z_]+)", body)) | set(
        re.findall(r"(?m)^ +(release_target):", body)
    )
    assert own - set(told) - made == set(), "neither documented nor made by the role"


def test_shared_variables_are_documented() -> None:
    """What roles read beside their own options stands in docs/operations.md."""
    document = OPERATIONS.read_text(encoding="utf-8")
    for path, text in texts(ROLES, ANSIBLE / "inventories"):
        for name in set(SHARED_NAME.findall(text)) - {"jauge_alerting", "jauge_grafana"}:
            assert f"`{name}`" in document, f"{path.relative_to(ROOT)}: {name}"


def test_every_option_is_in_the_table_of_the_document() -> None:
    """docs/operations.md names each role."""
    document = OPERATIONS.read_text(encoding="utf-8")
    assert [role for role in NAMES if f"`{role}`" not in document] == []


def test_the_example_inventory_sets_known_variables_only() -> None:
    """A variable of the example is an option of a role, or shared."""
    known = {name for role in NAMES for name in options(role)}
    for path, text in texts(ANSIBLE / "inventories" / "example" / "group_vars"):
        for name in yaml.safe_load(text):
            assert name in known or name.startswith("jauge_"), f"{path.name}: {name}"


def tasks(tree: Any) -> Iterator[dict[str, Any]]:
    """Every task of a file, those in blocks too."""
    for each in tree or []:
        if isinstance(each, dict):
            yield each
            for key in ("block", "rescue", "always", "tasks", "pre_tasks", "handlers"):
                yield from tasks(each.get(key))


def test_no_task_uses_a_shell_and_secrets_are_not_logged() -> None:
    """A task that handles a secret has ``no_log``."""
    secret = re.compile(r"_credentials|_secrets|_tokens\b|_token_file|gate_token|key\.new.*-out")
    seen = 0
    files = [(path, text) for path, text in texts(ROLES) if path.suffix == ".yml"]
    files += [(path, path.read_text(encoding="utf-8")) for path in sorted(ANSIBLE.glob("*.yml"))]
    for path, text in files:
        if path.parent.name not in {"tasks", "handlers", "ansible"}:
            continue
        for task in tasks(yaml.safe_load(text)):
            assert not {"shell", "ansible.builtin.shell", "raw", "ansible.builtin.raw"} & set(task)
            action = {
                k: v for k, v in task.items() if k.startswith("ansible.builtin.") or k == "loop"
            }
            if not {"ansible.builtin.copy", "ansible.builtin.uri"} & set(action):
                continue
            if secret.search(str(action)):
                seen += 1
                assert task.get("no_log"), f"{path.relative_to(ROOT)}: {task['name']}"
    assert seen >= 6


def filled(kind: Any, depth: int = 0) -> Any:
    """A value of a type, as YAML could give it, with every key of every struct."""
    match kind:
        case inspect.StructType():
            return {each.encode_name: filled(each.type, depth + 1) for each in kind.fields}
        case inspect.UnionType():
            return filled(next(t for t in kind.types if not isinstance(t, inspect.NoneType)), depth)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType():
            return [filled(kind.item_type, depth + 1)]
        case inspect.DictType():
            return {"key": filled(kind.value_type, depth + 1)}
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.EnumType():
            value: enum.Enum = next(iter(kind.cls))
            return value.value
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return kind.ge if kind.ge is not None else (kind.gt or 0) + 1
        case inspect.FloatType():
            least = kind.ge if kind.ge is not None else (kind.gt or 0)
            most = kind.le if kind.le is not None else least + 2
            return (least + most) / 2
    return 'a "text"\n{{ of }} é'


def agent_mapping() -> dict[str, Any]:
    """``agent.toml`` with every key, those of all sources too."""
    whole: dict[str, Any] = filled(inspect.type_info(agent_config.AgentConfig))
    whole["sources"] = {
        name: filled(inspect.type_info(load(name, BUILT_IN).Settings)) for name in BUILT_IN
    }
    return whole


def collector_mapping() -> dict[str, Any]:
    """``collector.toml`` with every key."""
    whole: dict[str, Any] = filled(inspect.type_info(CollectorFile))
    return whole


def keys(tree: Any, place: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The path of every key."""
    if isinstance(tree, dict):
        return {(*place, key) for key in tree}.union(
            *(keys(v, (*place, k)) for k, v in tree.items())
        )
    if isinstance(tree, list):
        return set().union(*(keys(each, place) for each in tree))
    return set()


def test_every_key_of_agent_and_collector_can_be_set(tmp_path: Path) -> None:
    """What the mapping variables say is what stands in the files, key for key, and is taken."""
    agent, collector = agent_mapping(), collector_mapping()
    render(
        [
            Wanted(
                "agent",
                "agent.toml.j2",
                {"agent_config": raw(agent), "agent_name": "a"},
                "agent.toml",
            ),
            Wanted(
                "collector",
                "collector.toml.j2",
                {"collector_config": raw(collector)},
                "collector.toml",
            ),
        ],
        tmp_path,
    )
    found_agent = tomllib.loads((tmp_path / "agent.toml").read_text(encoding="utf-8"))
    found_collector = tomllib.loads((tmp_path / "collector.toml").read_text(encoding="utf-8"))
    assert found_agent == agent
    assert found_collector == collector
    assert len(keys(found_agent)) > 150
    assert len(keys(found_collector)) > 80
    convert({**found_agent, "sources": {}}, agent_config.AgentConfig, file="agent.toml")
    convert(found_collector, CollectorFile, file="collector.toml")


def raw(tree: Any) -> Any:
    """The same, with texts that Ansible must not take for templates."""
    if isinstance(tree, dict):
        return {key: raw(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [raw(each) for each in tree]
    if isinstance(tree, str):
        return tree.replace("{{ of }}", "{{ '{{ of }}' }}")
    return tree


def test_without_a_word_the_files_are_those_of_the_document(tmp_path: Path) -> None:
    """The roles' own values make a configuration that names broker, certificate and store."""
    render(
        [
            Wanted("agent", "agent.toml.j2", {"agent_name": "srv-1"}, "agent.toml"),
            Wanted("collector", "collector.toml.j2", {"collector_tokens": "t"}, "collector.toml"),
        ],
        tmp_path,
    )
    agent = convert(
        tomllib.loads((tmp_path / "agent.toml").read_text(encoding="utf-8")),
        agent_config.AgentConfig,
        file="agent.toml",
    )
    assert (agent.site, agent.agent, agent.broker.host) == ("paris", "srv-1", "broker.example.org")
    assert (agent.broker.key_file, agent.metrics.port) == ("key.pem", 9480)
    collector = convert(
        tomllib.loads((tmp_path / "collector.toml").read_text(encoding="utf-8")),
        CollectorFile,
        file="collector.toml",
    )
    assert collector.sites == [Path("/etc/jauge/sites/lognes.toml")]
    assert collector.store.kind == "victoriametrics"
    assert (collector.console.access.mode, collector.console.access.tokens_file) == (
        "token",
        Path("tokens.toml"),
    )


@pytest.mark.parametrize(
    ("groups", "variables", "url"),
    [
        ((), {}, None),
        (("jauge_alerting",), {}, "http://127.0.0.1:9093"),
        (("jauge_alerting",), {"alerting_listen": "0.0.0.0:9094"}, "http://127.0.0.1:9094"),
        (("jauge_alerting",), {"alerting_listen": ":9094"}, "http://127.0.0.1:9094"),
        (("jauge_alerting",), {"alerting_listen": "[::]:9094"}, "http://127.0.0.1:9094"),
        (("jauge_alerting",), {"alerting_listen": "[::1]:9094"}, "http://[::1]:9094"),
        (("jauge_alerting",), {"alerting_listen": "localhost:9094"}, "http://localhost:9094"),
        (("jauge_alerting",), {"alerting_listen": "192.0.2.5:9093"}, None),
        (("jauge_alerting",), {"alerting_listen": "127.example.org:9093"}, None),
        (("jauge_alerting",), {"collector_alerts_url": ""}, None),
        ((), {"collector_alerts_url": "https://a.example.org"}, "https://a.example.org"),
    ],
)
def test_the_console_asks_the_alertmanager_of_its_host(
    groups: tuple[str, ...], variables: dict[str, Any], url: str | None, tmp_path: Path
) -> None:
    """Where it listens on loopback, at its port; another or none where somebody says so."""
    wanted = Wanted("collector", "collector.toml.j2", variables, "collector.toml")
    render([wanted], tmp_path, groups=groups)
    found = tomllib.loads((tmp_path / "collector.toml").read_text(encoding="utf-8"))
    assert convert(found, CollectorFile, file="collector.toml").alerts.url == url


@pytest.mark.parametrize(
    ("collectors", "targets"),
    [
        ("c1:8090", ["c1:8090"]),
        (["c1:8090", "c2:8090"], ["c1:8090", "c2:8090"]),
        ("", None),
        ([], None),
    ],
)
def test_the_store_asks_each_collector(
    collectors: str | list[str], targets: list[str] | None, tmp_path: Path
) -> None:
    """Under the one name of the job that the alerts know; one, several or none."""
    wanted = Wanted("store", "scrape.yml.j2", {"store_scrape_collector": collectors}, "scrape.yml")
    render([wanted], tmp_path)
    found = yaml.safe_load((tmp_path / "scrape.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job["static_configs"] for job in found["scrape_configs"]}
    assert jobs.get("jauge-collector") == (None if targets is None else [{"targets": targets}])


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    """The filter plugin as Ansible loads it."""
    pytest.importorskip("ansible", reason="ansible-core is not installed")
    spec = importlib.util.spec_from_file_location(
        "toml_filter", ANSIBLE / "filter_plugins" / "toml.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"a": None}, "a: is null"),
        ({"a": {"b": [1, None]}}, "a.b.1: is null"),
        ({"a": float("nan")}, "a: nan"),
        ({"a": {1: 2}}, "a.1: a key must be a text"),
        ({"a": object()}, "a: "),
        (["a"], "is no mapping"),
    ],
)
def test_what_toml_cannot_say_is_refused_with_its_key(
    plugin: ModuleType, value: Any, named: str
) -> None:
    """Nothing is left out in silence."""
    with pytest.raises(Exception, match=re.escape(named)):
        plugin.to_toml(value)


def test_toml_reads_back_as_what_was_said(plugin: ModuleType) -> None:
    """Nested tables, lists of tables in lists of tables, odd keys and texts."""
    tree = {
        "plain": [1, 2.5, True, 'a "b" \\ \x7f é\n', [], {}],
        "odd key.": {"x": {"y": {}}},
        "tables": [{"a": 1, "inner": [{"b": 2}, {"c": {"d": [{"e": 1}]}}]}, {"a": 2}],
        "mixed": [{"a": 1}, 2],
        "empty": {},
    }
    assert tomllib.loads(plugin.to_toml(tree)) == tree
    assert msgspec.toml.decode(plugin.to_toml(tree)) == tree
