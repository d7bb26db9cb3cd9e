"""The command line as a user meets it: one clear line for what is wrong, and no traceback."""

import asyncio
import http.client
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from jauge_collector.cli import COMMANDS
from jauge_collector.service import Service

from tests.collector.running import collecting, configured
from tests.parts import Mosquitto, VictoriaMetrics, eventually, free_port

COMMAND = (sys.executable, "-m", "jauge_collector.cli")
STOPS_WITHIN_S = 8.0


def told(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and standard error of a command that ends by itself."""
    ended = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


def last_line(text: str) -> str:
    """The line that says what is wrong; before it there may be log lines."""
    return text.rstrip("\n").rpartition("\n")[2]


TWIN = '[[meters]]\nid = "it"\ncommodity = "water"\n[[equations]]'
MQTT = "[mqtt]\n"
LISTEN = 'listen = "127.0.0.1:'


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "collector.toml",
            "[store]",
            "[store]\nsetle_s = 3",
            "store.setle_s: unknown key; did you",
        ),
        ("collector.toml", "sites = [", "sites = [[", "not valid TOML"),
        ("collector.toml", LISTEN, 'listen = "localhost" # ', "write '127.0.0.1:8090'"),
        ("collector.toml", "site.toml", "absent.toml", "absent.toml: cannot be read: no such file"),
        ("collector.toml", MQTT, MQTT + 'password_file = "absent"\n', "mqtt.password_file:"),
        ("collector.toml", MQTT, MQTT + 'ca_file = "x"\n', "mqtt.ca_file: is set without TLS; set"),
        ("collector.toml", "tls = false", 'ca_file = "site.toml"', "mqtt.ca_file:"),
        (
            "collector.toml",
            MQTT,
            '[mqtt]\nhost = "..bad"\n',
            "mqtt.host: '..bad' is no host; write",
        ),
        ("collector.toml", MQTT + "port =", MQTT + "port = -1 #", "mqtt.port: expected `int` >= 1"),
        ("site.toml", '"E_IT"', '"E_DC"', "equations: the site has no E_IT equation; add"),
        ("site.toml", "[[equations]]", TWIN, "meters[1].id: meter 'it' is named twice; rename one"),
        ("site.toml", "feeds =", "rated_flow_m3_h = 3\nfeeds =", "does not fit electricity; use"),
    ],
    ids=[
        "unknown key",
        "no TOML",
        "listen",
        "no site file",
        "no password",
        "CA without TLS",
        "no certificate",
        "no host",
        "no port",
        "no E_IT",
        "meter twice",
        "wrong unit",
    ],
)
def test_a_bad_file_is_named_in_one_line(
    tmp_path: Path, *, command: str, file: str, old: str, new: str, words: str
) -> None:
    """File, key and fix on standard error, exit status 2, and nothing else."""
    path = configured(tmp_path, mqtt_port=free_port())
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    code, said = told(command, "--config", path)
    assert code == 2
    assert words in said
    assert said.startswith(f"jauge-collector: {tmp_path}")
    assert said.count("\n") == 1


def test_an_absent_configuration_is_named(tmp_path: Path) -> None:
    """No file: its name, exit status 2."""
    path = tmp_path / "absent.toml"
    assert told("run", "--config", path) == (
        2,
        f"jauge-collector: {path}: cannot be read: no such file or directory\n",
    )


def test_check_says_what_it_found(tmp_path: Path) -> None:
    """A good configuration: exit 0, each site with its meters and hosts, as JSON where asked."""
    path = configured(tmp_path, mqtt_port=free_port())
    with (tmp_path / "site.toml").open("a", encoding="utf-8") as file:
        file.write('[[hosts]]\nid = "srv-1"\nfeeds = ["vc/host:a"]\n')
        file.write('[[hosts]]\nid = "srv-2"\nfeeds = ["vc/host:b"]\n')
    assert told("check", "--config", path) == (0, "")
    with (tmp_path / "site.toml").open("a", encoding="utf-8") as file:
        file.write('cpu = "Foo 9000"\n')
    ended = subprocess.run(
        [*COMMAND, "check", "--json", "--config", path], capture_output=True, check=True, timeout=60
    )
    found = json.loads(ended.stdout)["sites"]["s"]
    assert (found["meters"], found["hosts"]) == (1, 2)
    assert not (tmp_path / "state").exists(), "check changes nothing"
    note = "hosts 'srv-2': cpu 'Foo 9000' is not known: estimated as any platform"
    assert told("check", "--config", path) == (0, f"jauge-collector: note: s: {note}\n")


NO_SPACE = "jauge-collector: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    ("where", "status", "words"),
    [("/dev/full", 1, NO_SPACE), ("&1", 1, ""), ("&-", 0, "")],
    ids=["full", "broken", "closed"],
)
def test_an_output_that_takes_nothing_is_told_in_one_line(
    tmp_path: Path, where: str, status: int, words: str, buffered: str
) -> None:
    """Of a full disk. Whoever has gone, or has closed the output, wants no words."""
    path = configured(tmp_path, mqtt_port=free_port())
    unread, pipe = os.pipe()
    os.close(unread)
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" >{where}', "sh", *COMMAND, "check", "--config", str(path)],
        stdout=pipe,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        timeout=60,
        check=False,
    )
    os.close(pipe)
    assert (ended.returncode, ended.stderr) == (status, words)


def test_check_reads_the_registers(tmp_path: Path) -> None:
    """Which `run` does not wait for: whoever changed one asks here whether it can be read."""
    path = configured(tmp_path, mqtt_port=free_port())
    with (tmp_path / "site.toml").open("a", encoding="utf-8") as file:
        file.write('[registers]\nservers = "servers.csv"\n')
    status, error = told("check", "--config", path)
    assert status == 2
    assert "servers.csv: cannot be read: no such file or directory" in error
    (tmp_path / "servers.csv").write_text("id;name\nA;a\n", encoding="utf-8")
    assert told("check", "--config", path)[0] == 0
    with (tmp_path / "site.toml").open("a", encoding="utf-8") as file:
        file.write('policy = "policy.toml"\n')
    (tmp_path / "policy.toml").write_text('version = "1"\n', encoding="utf-8")
    status, error = told("check", "--config", path)
    assert (status, error.count("\n")) == (0, 1)
    assert error.startswith("jauge-collector: note: policy.toml, column approvals: ")
    assert "Note(" not in error


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """The console's port taken by another program: file, key and fix, exit status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = configured(tmp_path, mqtt_port=free_port(), port=port)
        code, text = told("run", "--config", path)
    assert code == 2
    assert last_line(text) == (
        f"jauge-collector: {path}: console.listen: 127.0.0.1:{port} is taken; "
        "stop the other program or choose another port"
    )


@pytest.mark.parametrize("name", ["readings.db", "ledger.db"])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, name: str) -> None:
    """An unreadable store or ledger ends the start with the file's name, not with a retry."""
    path = configured(tmp_path, mqtt_port=free_port())
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).write_bytes(b"no database at all" * 100)
    code, text = told("run", "--config", path)
    assert code == 1
    assert name in last_line(text)


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """What a newer collector wrote is not touched."""
    path = configured(tmp_path, mqtt_port=free_port())
    (tmp_path / "state").mkdir()
    with sqlite3.connect(tmp_path / "state" / "readings.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    code, text = told("run", "--config", path)
    assert code == 2
    assert "newer" in last_line(text)


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("flags", "fix"),
    [
        ({"retentionPeriod": "1"}, "-retentionPeriod="),
        ({"dedup.minScrapeInterval": "0s"}, "-dedup.minScrapeInterval=1ms"),
        ({"inmemoryDataFlushInterval": "30s"}, "store.settle_s"),
    ],
    ids=["retention", "dedup", "flush"],
)
async def test_an_unfit_store_is_refused(tmp_path: Path, flags: dict[str, str], fix: str) -> None:
    """A store that would lose or double data: the flag and the fix, exit status 2."""
    async with VictoriaMetrics(tmp_path / "victoria-metrics", flags=flags) as store:
        path = configured(tmp_path, mqtt_port=free_port(), store_url=store.url)
        code, text = await asyncio.to_thread(told, "run", "--config", path)
    assert code == 2
    assert fix in last_line(text)
    assert next(iter(flags)) in last_line(text)


@pytest.mark.end_to_end
async def test_a_store_that_was_down_at_the_start_is_said_to_be_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost once, back once; /readyz follows."""
    store = VictoriaMetrics(tmp_path / "vm")
    path = configured(tmp_path, mqtt_port=free_port(), store_url=f"http://127.0.0.1:{store.port}")

    def stands(service: Service) -> bool:
        return next(part.ready for part in service.readiness() if part.name == "store")

    with caplog.at_level(logging.INFO):
        async with collecting(path, ready=False) as service:
            await eventually(lambda: "the store is lost" in caplog.text, within=60, what="lost")
            assert not stands(service)
            async with store:
                await eventually(lambda: stands(service), within=60, what="back")
    said = [message for message in caplog.messages if message.startswith("the store ")]
    assert [message[:20] for message in said[:2]] == [
        "the store is lost: h",
        "the store works agai",
    ]


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_in_order(
    tmp_path: Path, mosquitto: Mosquitto, number: signal.Signals
) -> None:
    """Running, ready, told to stop: it ends within seconds, with status 0 and no complaint."""
    port = free_port()
    path = configured(tmp_path, mqtt_port=mosquitto.port, port=port)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--config", str(path), stderr=asyncio.subprocess.PIPE
    )

    def ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    async def up() -> bool:
        return await asyncio.to_thread(ready)

    try:
        await eventually(up, within=60, what="/readyz is 200")
        state = tmp_path / "state"
        modes = {file.name: file.stat().st_mode & 0o077 for file in (state, *state.iterdir())}
        os.kill(process.pid, number)
        async with asyncio.timeout(STOPS_WITHIN_S):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    text = said.decode()
    assert "Traceback" not in text
    assert "WARNING" not in text
    assert last_line(text).endswith("stopped")
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm", "readings.db"} <= set(modes)
    assert not any(modes.values()), f"others may read {modes}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required: COMMAND; see jauge-collector --help"),
        (("no-such-command",), "invalid choice: 'no-such-command'"),
        (("run", "--no-such-option"), "--no-such-option"),
        (("token", "--name", "n", "--role", "rader"), "--role: invalid choice: 'rader' (choose"),
        (("purge", "--agent", "a", "--resource", "guest:g"), "--resource: not allowed with"),
        (("token", "--role", "reader"), "token: the following arguments are required: --name"),
        (
            ("token", "--name", "n", "--role", "reader", "--expires", "2020-01-01"),
            "--expires: 2020-01-01 is past",
        ),
    ],
)
def test_bad_arguments_are_told(arguments: tuple[str, ...], words: str) -> None:
    """Unknown commands, options and values: one line, and exit status 2."""
    code, text = told(*arguments)
    assert code == 2
    assert text.startswith("jauge-collector")
    assert words in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    """--help ends with an example, and loads nothing heavy."""
    name = command.rstrip("_")
    program = (
        "import atexit, sys\n"
        "heavy = {'pandas', 'sqlalchemy', 'aiohttp', 'aiomqtt'}\n"
        "atexit.register(lambda: sys.stderr.write(' '.join(heavy & set(sys.modules))))\n"
        "from jauge_collector.cli import main\n"
        f"main([{name!r}, '--help'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert f"example: jauge-collector {name}" in ended.stdout
    assert ended.stderr == ""
