"""Whom to believe that they are a device: TLS contexts by the authorities of a file."""

from typing import TYPE_CHECKING

from jauge_agent.config import resolved, shown
from jauge_agent.source import FatalError

if TYPE_CHECKING:
    import ssl


class Trust:
    """TLS contexts, one for each file of authorities: each holds some hundred certificates."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[str | None, bool], ssl.SSLContext] = {}

    def context(self, ca_file: str | None, *, verify: bool = True) -> "ssl.SSLContext":
        """Trust in the authorities of a file, or the system's; raises FatalError.

        Without ``verify`` anybody is believed.
        """
        import ssl  # noqa: PLC0415 - only where used

        key = (ca_file, verify)
        if key not in self._contexts:
            try:
                made = ssl.create_default_context(cafile=resolved(ca_file) if ca_file else None)
            except ssl.SSLError:
                problem = "holds no certificate in PEM form"
                raise FatalError(f"ca_file: {shown(ca_file or '')} {problem}") from None
            except OSError as error:
                problem = f"cannot be read: {error.strerror}"
                raise FatalError(f"ca_file: {shown(ca_file or '')} {problem}") from None
            # Python 3.13 refuses what most devices make for themselves.
            made.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if not verify:
                made.check_hostname = False
                made.verify_mode = ssl.CERT_NONE
            self._contexts[key] = made
        return self._contexts[key]
