"""The script that sites make certificates with."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.security.client import Client, is_let_in
from tests.security.conftest import ALICE, BOB
from tests.security.ground import SCRIPT, Authority, ShippedBroker, openssl


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that this test may change."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    return Authority(tmp_path / "authority")


def attempt(authority: Path, *arguments: str, days: str = "") -> tuple[int, str]:
    """Exit status and complaint of a command that is expected to fail."""
    environment = os.environ | {"JAUGE_AUTHORITY": str(authority)}
    if days:
        environment["JAUGE_DAYS"] = days
    done = subprocess.run(
        ["sh", str(SCRIPT), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def subject(certificate: Path) -> str:
    """Whose it is, as openssl prints it."""
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-subject"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize(
    "name",
    [
        "",
        "par",
        "par/",
        "/alice",
        "par/alice/x",
        "par/+",
        "+/alice",
        "#",
        "par/#",
        "../etc/passwd",
        "par/..",
        "par/al ice",
        "par/alice\nx",
        "par/$(id)",
        "par/`id`",
        "par/é",
        "-par/alice",
        "par/" + 61 * "x",
        "collector",
    ],
)
def test_names_that_no_agent_may_have_are_refused(authority: Authority, name: str) -> None:
    """One line, exit 2, and nothing was issued."""
    before = sorted(authority.folder.rglob("*"))
    status, said = attempt(authority.folder, "agent", name)
    assert status == 2
    assert said.startswith("certificates.sh: ")
    assert sorted(authority.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        (("broker",), ""),
        (("broker", "a,DNS:b"), ""),
        (("broker", "::g"), ""),
        (("collector", "par/alice"), ""),
        (("collector", "broker"), ""),
        (("revoke", "par/nobody"), ""),
        (("relay",), ""),
        (("relay", "par/bms"), ""),
        (("relay", "par/bms", "pdu-1", "+"), ""),
        (("relay", "par/bms", "lyon/pdu-1"), ""),
        (("relay", "bms", "pdu-1"), ""),
        (("agent", ALICE, "/nowhere.csr"), ""),
        (("agent", ALICE), "0"),
        (("agent", ALICE), "1; id"),
        (("new-authority",), ""),
        (("nonsense",), ""),
        ((), ""),
    ],
)
def test_bad_calls_are_refused(authority: Authority, arguments: tuple[str, ...], days: str) -> None:
    """Exit 2 and the list of what was issued as before."""
    before = authority.run("list")
    status, said = attempt(authority.folder, *arguments, days=days)
    assert status == 2
    assert said
    assert authority.run("list") == before


def test_without_an_authority_nothing_is_issued(tmp_path: Path) -> None:
    """The complaint says what to run first."""
    status, said = attempt(tmp_path / "none", "agent", ALICE)
    assert (status, "run new-authority" in said) == (2, True)


def test_nobody_else_may_read_what_it_writes(authority: Authority) -> None:
    """Keys above all, and the folder as a whole."""
    authority.agent(ALICE)
    for path in authority.folder.rglob("*"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_of_a_request_only_the_key_is_taken(authority: Authority, tmp_path: Path) -> None:
    """The name is that of the command line, whatever the request says; the key stays away."""
    key, request = tmp_path / "own.key", tmp_path / "own.csr"
    openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", key, "-out", request, "-subj", "/CN=collector"),
        *("-addext", "basicConstraints=critical,CA:TRUE"),
    )
    folder = Path(authority.run("agent", ALICE, str(request)).strip())
    assert "CN=par/alice" in subject(folder / "certificate.pem").replace(" = ", "=")
    assert not (folder / "key.pem").exists()
    openssl("verify", "-purpose", "sslclient", "-CAfile", folder / "authority.pem",
            folder / "certificate.pem")  # fmt: skip
    text = subprocess.run(
        ["openssl", "x509", "-in", str(folder / "certificate.pem"), "-noout", "-text"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "CA:FALSE" in text
    assert "CA:TRUE" not in text


@pytest.mark.usefixtures("real_mosquitto")
async def test_a_renewed_certificate_leaves_the_old_one_good_until_it_is_revoked(
    authority: Authority, tmp_path: Path
) -> None:
    """So an agent changes over without a gap; revoking takes all of the name, and no other."""
    old = authority.agent(ALICE).context()
    new = authority.agent(ALICE).context()
    async with ShippedBroker(tmp_path / "broker", authority) as broker:
        assert await is_let_in(Client(broker.port, old))
        assert await is_let_in(Client(broker.port, new))
        bob = authority.agent(BOB)
        authority.run("revoke", ALICE)
        await broker.restart()
        assert not await is_let_in(Client(broker.port, old))
        assert not await is_let_in(Client(broker.port, new))
        assert await is_let_in(Client(broker.port, bob))
        assert await is_let_in(Client(broker.port, authority.agent(ALICE)))
    states = [
        (state, name) for state, _, _, name in map(str.split, authority.run("list").splitlines())
    ]
    assert states == [
        ("V", "broker"), ("R", ALICE), ("R", ALICE), ("V", BOB), ("V", ALICE)
    ]  # fmt: skip


@pytest.mark.usefixtures("real_mosquitto")
async def test_the_authority_is_changed_without_shutting_anybody_out(
    authority: Authority, tmp_path: Path
) -> None:
    """Both are trusted for a time, by broker and agents; then the old one is no longer."""
    new = Authority(tmp_path / "new")
    before, after = authority.agent(ALICE), new.agent(BOB)

    def both(name: str, folder: Path) -> None:
        parts = [each / name for each in (authority.broker, new.broker)]
        (folder / name).write_bytes(b"".join(path.read_bytes() for path in parts))

    trust = tmp_path / "trust"
    trust.mkdir()
    both("authority.pem", trust)
    async with ShippedBroker(tmp_path / "broker", authority) as broker:
        both("authority.pem", authority.broker)
        both("revoked.pem", authority.broker)
        await broker.restart()
        for identity in (before, after):
            assert await is_let_in(
                Client(broker.port, identity.context(trust=trust / "authority.pem"))
            )
        for name in ("certificate.pem", "key.pem"):
            (authority.broker / name).write_bytes((new.broker / name).read_bytes())
        await broker.restart()
        for identity in (before, after):
            assert await is_let_in(
                Client(broker.port, identity.context(trust=trust / "authority.pem"))
            )
        for name in ("authority.pem", "revoked.pem"):
            (authority.broker / name).write_bytes((new.broker / name).read_bytes())
        await broker.restart()
        assert await is_let_in(Client(broker.port, after))
        assert not await is_let_in(
            Client(broker.port, before.context(trust=trust / "authority.pem"))
        )


def test_the_script_has_nothing_that_shellcheck_minds() -> None:
    """Quoting, portability, unused names."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (Debian package shellcheck)")
    done = subprocess.run(
        ["shellcheck", str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == ""
