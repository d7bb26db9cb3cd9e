"""Certificates for tests, made by the openssl program, and passwords for Mosquitto."""

import subprocess
from pathlib import Path
from typing import Final

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """A certificate authority in a folder of its own; raises FileNotFoundError without openssl."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate),
            *("-subj", f"/CN={name}", "-days", "2"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def issue(self, name: str, *, file: str | None = None, expired: bool = False) -> "Issued":
        """A certificate for ``name``, and as a server for 127.0.0.1 and localhost."""
        made = Issued(self._folder, file or name)
        request = self._folder / f"{made.certificate.stem}.csr"
        extensions = self._folder / "extensions.cnf"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n", encoding="utf-8")
        _openssl("req", "-new", *_KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        validity = ("-not_before", "20200101000000Z", "-not_after", "20200102000000Z")
        _openssl(
            *("x509", "-req", "-in", request, "-out", made.certificate),
            *("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"),
            *("-extfile", extensions, *(validity if expired else ("-days", "2"))),
        )
        return made


class Issued:
    """A certificate with its key."""

    def __init__(self, folder: Path, name: str) -> None:
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"


def make_password_file(path: Path, user: str, password: str) -> None:
    """Mosquitto's file with one user."""
    command = ["mosquitto_passwd", "-b", "-c", str(path), user, password]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    path.chmod(0o644)


def _openssl(*arguments: str | Path) -> None:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
