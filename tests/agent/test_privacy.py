"""What leaves a host: no names of people, and pseudonyms where they are asked for."""

import asyncio
import os
import pwd
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

import aiomqtt
import psutil
import pytest
from jauge_agent import config
from jauge_agent.pseudonyms import Pseudonyms
from jauge_agent.source import Outcome, SourceSettings
from jauge_agent.testing import ScriptedSource, configured
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import Method, ResourceDescription, Sample, decode_birth

from tests.parts import Mosquitto

KEY = "0123456789abcdef"
GUEST = ResourceDescription(
    "guest:4c4c4544-0042",
    {"power": Method.ESTIMATE},
    name="payroll of Ms Example",
    labels={"tenant": "finance", "rack": "r7", "owner": "example"},
)
HOST = ResourceDescription("host", {"power": Method.GAUGE}, name="srv-1", labels={"rack": "r7"})


def test_names_and_labels_become_hashes_and_ids_stay() -> None:
    """Only of the kinds asked for, and not of labels that say where a thing stands."""
    guest, host = Pseudonyms(["guest"], KEY).hide([GUEST, HOST])
    assert host == HOST
    assert guest.id == GUEST.id
    assert guest.quantities == GUEST.quantities
    assert re.fullmatch(r"pn-[0-9a-f]{16}", guest.name)
    assert guest.labels.keys() == GUEST.labels.keys()
    assert guest.labels["rack"] == "r7"
    for name in ("payroll", "Example", "finance", "example"):
        assert name not in repr(guest)


def test_a_pseudonym_is_the_same_everywhere_with_one_key_only() -> None:
    """After a restart and on another agent; it is HMAC-SHA256 of the name, cut to 64 bits."""
    assert Pseudonyms(["guest"], KEY).of("vm-1") == Pseudonyms(["gpu"], KEY).of("vm-1")
    assert Pseudonyms([], KEY).of("vm-1") == "pn-87313e0d589fa38d"  # by openssl dgst
    assert Pseudonyms([], f"{KEY}x").of("vm-1") != Pseudonyms([], KEY).of("vm-1")
    assert Pseudonyms([], KEY).of("vm-2") != Pseudonyms([], KEY).of("vm-1")
    assert Pseudonyms([], KEY).of("") == ""


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ('pseudonymise = ["guest"]', "privacy.key_file: missing; pseudonyms need a key"),
        ('pseudonymise = ["guests"]', "privacy.pseudonymise: 'guests' is no kind of resource"),
        ('pseudonymise = ["guest"]\nkey_file = "/nowhere/k"', "/nowhere/k cannot be read"),
        ('pseudonymise = ["guest"]\nkey_file = "{short}"', "holds too few bytes of text"),
    ],
)
def test_pseudonyms_without_a_good_key_are_refused(tmp_path: Path, section: str, line: str) -> None:
    """Rather no agent than one that tells names it was to hide."""
    (tmp_path / "short").write_text(KEY[:-1] + "\n")
    path = tmp_path / "agent.toml"
    path.write_text(f'site = "lab"\n[privacy]\n{section.format(short=tmp_path / "short")}\n')
    with pytest.raises(ConfigurationError, match=re.escape(line)):
        config.read(path)


async def test_what_an_agent_announces_is_pseudonymised(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The retained birth on the broker has the hashes, and the name is nowhere in it."""
    from jauge_agent.agent import run

    (tmp_path / "key").write_text(KEY)
    (tmp_path / "agent.toml").write_text(
        f'site = "lab"\nagent = "a1"\n[broker]\ntls = false\nport = {mosquitto.port}\n'
        f'[privacy]\npseudonymise = ["guest"]\nkey_file = "{tmp_path / "key"}"\n'
        f'[spool]\ndirectory = "{tmp_path}"\n'
    )
    read = config.read(tmp_path / "agent.toml")
    source = ScriptedSource([Outcome([Sample(GUEST.id, "power", 1.0)])], resources=[GUEST])
    sources = [configured("guests", source, SourceSettings(period_s=0.2))]
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.subscribe("jauge/v1/lab/a1/birth")
        births: list[bytes] = []
        agent = asyncio.create_task(run(read, sources, file="agent.toml"))
        try:
            async with asyncio.timeout(30):
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    births.append(message.payload)
                    if decode_birth(message.payload).resources:
                        break
        finally:
            agent.cancel()
            await asyncio.wait([agent])
    assert decode_birth(births[-1]).resources == Pseudonyms(["guest"], KEY).hide([GUEST])
    assert b"payroll" not in b"".join(births)


def of_people(more: Iterable[str]) -> set[str]:
    """Words that name somebody on this machine: accounts, full names, homes, sessions."""
    words = set(more)
    for account in pwd.getpwall():
        words |= {account.pw_name, account.pw_dir}
        if account.pw_uid >= 1000 and account.pw_name != "nobody":
            full_name = account.pw_gecos.partition(",")[0]
            words |= {full_name, *full_name.split()}
    for session in psutil.users():
        words |= {session.name, session.terminal or "", session.host or ""}
    # `sys` and the like are accounts of a system and words of its file system at once.
    return {word for word in words if len(word) > 3} - {"localhost", "/dev", "/proc", "/sys"}


def named_in(payloads: Iterable[bytes], words: Iterable[str]) -> set[str]:
    """Words that stand in the payloads, alone or as part of a path or an address."""
    text = b"\n".join(payloads).decode()
    return {
        word
        for word in words
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", text)
    }


async def test_nothing_a_host_publishes_names_a_person_or_a_process(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """All built-in sources of this machine, birth, state and readings, searched for its people.

    Two more are planted: the environment's user and home, and a process with a telling command
    line. That the search finds what is there is shown by what every birth holds.
    """
    (tmp_path / "spool").mkdir()
    (tmp_path / "agent.toml").write_text(
        f'site = "lab"\nagent = "a1"\n[broker]\ntls = false\nport = {mosquitto.port}\n'
        f'[spool]\ndirectory = "{tmp_path / "spool"}"\n'
        "[sources.host]\nperiod_s = 0.2\n[sources.hwmon]\nperiod_s = 0.2\n"
        "[sources.rapl]\nperiod_s = 0.2\n"
    )
    planted = {"USER": "jane-planted", "LOGNAME": "jane-planted", "HOME": "/home/jane-planted"}
    telling = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", "--for=jane-planted", stdin=asyncio.subprocess.PIPE
    )
    payloads: dict[str, list[bytes]] = {}
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.subscribe("jauge/v1/#")
        agent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jauge_agent.cli", "run"),
            *("--config", str(tmp_path / "agent.toml")),
            env={**os.environ, **planted},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                async for message in client.messages:
                    channel = message.topic.value.rpartition("/")[2]
                    assert isinstance(message.payload, bytes)
                    payloads.setdefault(channel, []).append(message.payload)
                    births = payloads.get("birth", [])
                    if len(payloads.get("readings", [])) > 3 and b"cpu_time" in births[-1]:
                        break
        finally:
            agent.terminate()
            telling.kill()
            await agent.communicate()
            await telling.communicate()
    everything = [payload for each in payloads.values() for payload in each]
    assert payloads.keys() == {"birth", "state", "readings"}
    assert named_in(everything, {"cpu_time", "nobody-of-this-name"}) == {"cpu_time"}
    home = str(Path.home())
    planted_there = [b'{"name":"jane-planted"}', f"{home}/x".encode()]
    assert named_in(planted_there, of_people(planted.values())) >= {"jane-planted", home}
    assert named_in(everything, of_people(planted.values())) == set()
    assert named_in(everything, {socket.gethostname()}) == set()
