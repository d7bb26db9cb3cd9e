"""The command line as a user meets it: status, one clear line, JSON, orderly end."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from jauge_agent.cli import main
from jauge_models.wire import Address, decode_pack

from tests.agent.answering import answering
from tests.parts import Mosquitto, eventually, free_port


def configuration(directory: Path, more: str = "") -> Path:
    """A valid file with its spool beside it."""
    (directory / "spool").mkdir(exist_ok=True)
    path = directory / "agent.toml"
    path.write_text(
        f'site = "lab"\nagent = "a1"\n[spool]\ndirectory = "{directory / "spool"}"\n{more}'
    )
    return path


async def started(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """The agent as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jauge_agent.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )


NO_SPACE = "jauge-agent: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    ("where", "status", "words"),
    [("/dev/full", 1, NO_SPACE), ("&1", 1, ""), ("&-", 0, "")],
    ids=["full", "broken", "closed"],
)
def test_an_output_that_takes_nothing_is_told_in_one_line(
    where: str, status: int, words: str, buffered: str
) -> None:
    """Of a full disk. Whoever has gone, or has closed the output, wants no words."""
    unread, pipe = os.pipe()
    os.close(unread)
    ended = subprocess.run(
        [
            "sh",
            "-c",
            f'exec "$@" >{where}',
            *("sh", sys.executable, "-m", "jauge_agent.cli", "sources"),
        ],
        stdout=pipe,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        timeout=60,
        check=False,
    )
    os.close(pipe)
    assert (ended.returncode, ended.stderr) == (status, words)


@pytest.mark.parametrize("command", ["sources", "once", "run", "check", "probe"])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command has --help with an example."""
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"example: jauge-agent {command}" in capsys.readouterr().out


def test_sources_says_what_is_there_and_why_the_rest_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One row per source; absent ones carry their reason; no colours off a terminal."""
    assert main(["sources"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^host +present +30 s +\d+ resources?: .*cpu_time", out, re.MULTILINE)
    assert "\033" not in out


def test_sources_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs."""
    assert main(["sources", "--json"]) == 0
    found = {each["source"]: each for each in json.loads(capsys.readouterr().out)["sources"]}
    assert found["host"]["standing"] == "present"
    assert found["host"]["resources"][0]["id"] == "host"


def test_once_prints_a_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One SenML pack that a collector would take."""
    assert main(["once", "--config", str(configuration(tmp_path))]) == 0
    pack = decode_pack(capsys.readouterr().out.encode(), Address("lab", "a1"))
    assert "host/cpu_time" in {record.n for record in pack.records}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "jauge-agent: the following arguments are required: COMMAND; see"),
        (("rnu",), "jauge-agent: argument COMMAND: invalid choice: 'rnu' (choose from"),
        (("run", "--confg", "x"), "jauge-agent: unrecognized arguments: --confg x; see"),
        (("probe",), "jauge-agent probe: the following arguments are required: ADDRESS"),
    ],
)
def test_a_bad_argument_is_one_line_and_exit_2(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the usage, which --help shows."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(words)
    assert said.count("\n") == 1


def test_check_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A valid file: exit 0, as text and as JSON."""
    path = str(configuration(tmp_path))
    assert main(["check", "--config", path]) == 0
    assert "fine" in capsys.readouterr().out
    assert main(["check", "--json", "--config", path]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_check_misses_the_files_of_devices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A password that is not there is one line with its key; not of a source that is off."""
    missing = tmp_path / "community"
    device = f'host = "192.0.2.1"\ncommunity_file = "{missing}"\n'
    section = "[sources.snmp]\nenabled = {}\n[[sources.snmp.devices]]\n" + device
    path = configuration(tmp_path, section.format("true"))
    assert main(["check", "--config", str(path)]) == 2
    _, err = capsys.readouterr()
    key = "sources.snmp.devices[0].community_file"
    assert f"{path}: {key}: {missing} cannot be read: No such file" in err
    assert err.count("\n") == 1
    configuration(tmp_path, section.format("false"))
    assert main(["check", "--config", str(path)]) == 0
    configuration(tmp_path, section.format("true"))
    missing.write_text("public\n")
    assert main(["check", "--config", str(path)]) == 0


async def test_once_says_a_lost_device_as_logs_do(tmp_path: Path) -> None:
    """With which device of which source, and why."""
    pytest.importorskip("pymodbus", reason="pymodbus is not installed (jauge-agent[modbus])")
    device = f'host = "127.0.0.1"\nport = {free_port()}\nprofile = "eastron-sdm630"\nid = "M1"\n'
    path = configuration(tmp_path, f"[[sources.modbus.devices]]\n{device}")
    agent = await started("once", "--config", str(path))
    _, err = await agent.communicate()
    (line,) = [each for each in err.decode().splitlines() if "device lost" in each]
    assert 'event="device lost" source=modbus device=127.0.0.1:' in line


@pytest.mark.parametrize("command", ["once", "run", "check"])
def test_a_bad_file_is_one_line_and_exit_2(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path of the error, on standard error, and nothing else."""
    path = configuration(tmp_path, "max_gb = 1\n")
    assert main([command, "--config", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"{path}: spool.max_gb: unknown key; did you mean 'max_mb'?" in err


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_spool_directory_that_is_not_there_is_exit_2(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key and the fix are named."""
    path = configuration(tmp_path)
    (tmp_path / "spool").rmdir()
    assert main([command, "--config", str(path)]) == 2
    assert "spool.directory" in capsys.readouterr().err


def test_a_metrics_port_that_is_taken_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Port taken: non-zero exit, port and key named, no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = configuration(tmp_path, f"[metrics]\nport = {port}\n")
        assert main(["run", "--config", str(path)]) == 2
    err = capfd.readouterr().err
    assert f"{path}: metrics.port: cannot listen on 127.0.0.1:{port}: Address already in use" in err
    assert "Traceback" not in err


def test_a_metrics_address_of_another_machine_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], free_port: int
) -> None:
    """Address not ours: exit 2, the other key named."""
    path = configuration(tmp_path, f'[metrics]\nport = {free_port}\naddress = "192.0.2.1"\n')
    assert main(["run", "--config", str(path)]) == 2
    err = capfd.readouterr().err
    assert f"{path}: metrics.address: cannot listen on 192.0.2.1:{free_port}: Cannot assign" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
async def test_run_publishes_and_ends_in_order(
    which: signal.Signals, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Readings of this machine are stored; a signal ends with offline said and exit 0."""
    path = configuration(
        tmp_path,
        f"[broker]\ntls = false\nport = {mosquitto.port}\n[sources.host]\nperiod_s = 0.2\n",
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        async with answering(mosquitto.port) as collector:
            agent = await started(
                "run",
                "--json",
                "--config",
                str(path),
                NOTIFY_SOCKET=str(tmp_path / "notify"),
                WATCHDOG_USEC="2000000",
            )
            await eventually(lambda: len(collector.batches) >= 5, within=20, what="five batches")
            for suffix in ("", "-wal", "-shm"):
                file = tmp_path / "spool" / f"spool.sqlite{suffix}"
                assert not file.exists() or file.stat().st_mode & 0o077 == 0, file
            agent.send_signal(which)
            _, err = await asyncio.wait_for(agent.communicate(), 10)
            await eventually(lambda: not collector.states[-1].online, within=5, what="offline")
        told = []
        with contextlib.suppress(BlockingIOError):
            while True:
                told.append(manager.recv(100).decode())
    assert agent.returncode == 0, err
    assert "WATCHDOG=1" in told
    assert [each for each in told if each != "WATCHDOG=1"] == ["READY=1", "STOPPING=1"]
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert events[0] == "started"
    assert json.loads(err.splitlines()[0])["boot"] == collector.births[-1].boot
    modes = {file.name: file.stat().st_mode & 0o077 for file in (tmp_path / "spool").iterdir()}
    assert "spool.sqlite" in modes
    assert not any(modes.values()), "others may read the spool"
    assert events[-1] == "stopped"
    last = collector.states[-1]
    assert (last.clock_steps, last.last_step_s) == (0, None)
    assert set(last.delivered) == {"host"}
    assert abs(last.delivered["host"] - last.sent_at) < 30
    resources = {resource.id for resource in collector.births[-1].resources}
    assert "host" in resources
    assert {series for series, _ in collector.stored} >= {"lab/a1/host/cpu_time"}


async def test_kill_the_agent_and_nothing_is_lost(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Batches that a killed agent left unanswered come under the next one's boot, in full."""
    path = configuration(
        tmp_path,
        f"[broker]\ntls = false\nport = {mosquitto.port}\n[sources.host]\nperiod_s = 0.2\n",
    )
    async with answering(mosquitto.port, verdict=lambda _: "") as collector:
        agent = await started("run", "--config", str(path))
        await eventually(lambda: len(collector.packs) >= 5, within=20, what="five packs")
        agent.kill()
        await agent.communicate()
        left = {(pack.seq, pack.time_ms) for pack in collector.packs}
        first_boot = collector.packs[0].boot
        collector.packs.clear()
        collector.verdict = lambda _: None
        agent = await started("run", "--config", str(path))
        await eventually(
            lambda: left <= {(pack.seq, pack.time_ms) for pack in collector.packs},
            within=20,
            what="the leftovers",
        )
        assert first_boot not in {pack.boot for pack in collector.packs}
        agent.terminate()
        await agent.communicate()
        assert agent.returncode == 0
        times = {time_ms for _, time_ms in left}
        assert times <= {time_ms for _, time_ms in collector.stored}
        assert collector.changed == []
