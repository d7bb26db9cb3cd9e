"""Certificates for tests, made by the openssl program, and passwords for Mosquitto."""

import subprocess
from pathlib import Path
from typing import Final

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

_EXPIRED: Final = ("-not_before", "20200101000000Z", "-not_after", "20200102000000Z")
_NOT_YET_VALID: Final = ("-not_before", "20900101000000Z", "-not_after", "20900102000000Z")

_DATABASE: Final = """\
[ca]
default_ca = this
[this]
database = {folder}/{name}.index
crlnumber = {folder}/{name}.crlnumber
default_md = sha256
default_crl_days = 2
"""


class Authority:
    """A certificate authority in a folder of its own; raises FileNotFoundError without openssl."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.pem"
        self.revocations = folder / f"{name}.crl"
        """What `revoke` writes, for Mosquitto's ``crlfile``."""
        self._key = folder / f"{name}.key"
        self._database = folder / f"{name}.cnf"
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate),
            *("-subj", _subject(name), "-days", "2"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def issue(
        self,
        name: str,
        *,
        file: str | None = None,
        expired: bool = False,
        not_yet_valid: bool = False,
        days: int = 2,
        hosts: str = "IP:127.0.0.1,DNS:localhost",
    ) -> "Issued":
        """A certificate for ``name``, and as a server for ``hosts``.

        Its files are called ``file``, or like the name with dots for slashes.
        """
        made = Issued(self._folder, file or name.replace("/", "."))
        request = made.certificate.with_suffix(".csr")
        extensions = self._folder / "extensions.cnf"
        extensions.write_text(f"subjectAltName={hosts}\n", encoding="utf-8")
        _openssl(
            *("req", "-new", *_KEY, "-keyout", made.key, "-out", request, "-utf8"),
            *("-subj", _subject(name)),
        )
        period = _EXPIRED if expired else _NOT_YET_VALID if not_yet_valid else ("-days", str(days))
        _openssl(
            *("x509", "-req", "-in", request, "-out", made.certificate),
            *("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"),
            *("-extfile", extensions, *period),
        )
        return made

    def revoke(self, *certificates: "Issued") -> Path:
        """Write the list of revoked certificates, these added to it; returns `revocations`."""
        if not self._database.exists():
            text = _DATABASE.format(folder=self._folder, name=self._name)
            self._database.write_text(text, encoding="utf-8")
            (self._folder / f"{self._name}.index").touch()
            (self._folder / f"{self._name}.crlnumber").write_text("01\n", encoding="ascii")
        signing = ("-config", self._database, "-cert", self.certificate, "-keyfile", self._key)
        for one in certificates:
            _openssl("ca", *signing, "-revoke", one.certificate)
        _openssl("ca", *signing, "-gencrl", "-out", self.revocations)
        self.revocations.chmod(0o644)
        return self.revocations


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


def _subject(name: str) -> str:
    return "/CN=" + name.replace("\\", "\\\\").replace("/", "\\/")


def _openssl(*arguments: str | Path) -> None:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
