"""The broker as it is shipped, and an authority made by the shipped script."""

import os
import signal
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests import parts

SHIPPED: Final = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto"
SCRIPT: Final = SHIPPED / "certificates.sh"
LOOPBACK: Final = "127.0.0.1"

WITHIN_S: Final = 60.0
"""How long anything is waited for: generous, because tests share the processors."""

Loosening = Callable[[str], str]
"""Takes a protection out of the text of a file."""


class Identity:
    """A folder with the certificate, the key and the authority of one name."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        self.authority = folder / "authority.pem"

    def context(self, *, trust: Path | None = None) -> ssl.SSLContext:
        """For a client that shows this certificate and trusts its authority, or ``trust``."""
        context = ssl.create_default_context(cafile=trust or self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """An authority in a folder, by the script that sites use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("new-authority")
        self.run("broker", "localhost", LOOPBACK)

    @property
    def certificate(self) -> Path:
        """What clients and broker trust."""
        return self.folder / "authority.pem"

    @property
    def broker(self) -> Path:
        """The folder for the broker, mosquitto.conf's ``tls``."""
        return self.folder / "issued" / "broker"

    def run(self, *arguments: str, days: int | None = None) -> str:
        """Run the script; returns what it prints, AssertionError with its complaint if it fails."""
        environment = os.environ | {"JAUGE_AUTHORITY": str(self.folder)}
        if days is not None:
            environment["JAUGE_DAYS"] = str(days)
        done = subprocess.run(
            ["sh", str(SCRIPT), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def collector(self, name: str = "collector") -> Identity:
        """A certificate for a collector."""
        return Identity(Path(self.run("collector", name).strip()))

    def agent(self, name: str) -> Identity:
        """A certificate for ``SITE/AGENT``."""
        return Identity(Path(self.run("agent", name).strip()))

    def sign(self, name: str, *, expired: bool = False) -> Identity:
        """What the script refuses or cannot make: a certificate for any name, or a past one."""
        folder = self.folder / "signed" / name.replace("/", "_").replace("+", "plus")
        folder.mkdir(parents=True)
        made = Identity(folder)
        escaped = name.replace("/", "\\/").replace("+", "\\+")
        period = ("-not_before", "20200101000000Z", "-not_after", "20200102000000Z")
        request = folder / "request.csr"
        openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", made.key, "-out", request, "-subj", f"/CN={escaped}"),
        )
        openssl(
            *("x509", "-req", "-in", request, "-out", made.certificate),
            *("-CA", self.certificate, "-CAkey", self.folder / "authority.key"),
            *(period if expired else ("-days", "2")),
        )
        made.authority.write_bytes(self.certificate.read_bytes())
        return made


def openssl(*arguments: str | Path) -> None:
    """Run openssl; AssertionError with its complaint if it fails."""
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr


class ShippedBroker(parts.Mosquitto):
    """Mosquitto with the files of deploy/mosquitto.

    Three things are put in their place, as a site would: the folder, the listener, and the user
    where tests run as root. ``settings`` and ``rights`` take protections out of mosquitto.conf
    and access.acl.
    """

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        *,
        settings: Loosening = lambda text: text,
        rights: Loosening = lambda text: text,
    ) -> None:
        super().__init__(folder)
        self._loosenings = {"mosquitto.conf": settings, "access.acl": rights}
        (folder / "tls").symlink_to(authority.broker)

    def arguments(self) -> list[str]:
        """The configuration file, written anew at each start."""
        text = (SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
        for shipped, here in (
            ("\nlistener 8883\n", f"\nlistener {self.port} {LOOPBACK}\n"),
            ("/etc/mosquitto/", f"{self.directory}/"),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        if os.geteuid() == 0:
            text += "user root\n"
        texts = text, (SHIPPED / "access.acl").read_text(encoding="utf-8")
        for (name, loosened), written in zip(self._loosenings.items(), texts, strict=True):
            path = self.directory / name
            path.write_text(loosened(written), encoding="utf-8")
            path.chmod(0o600)
        return ["-c", str(self.directory / "mosquitto.conf")]

    def reload(self) -> None:
        """Have it read its files again, as ``systemctl reload`` does."""
        os.kill(self.pid, signal.SIGHUP)

    def said(self, text: str) -> int:
        """How many lines of its log contain a text."""
        return sum(text in line for line in self.log.read_text(errors="replace").splitlines())
