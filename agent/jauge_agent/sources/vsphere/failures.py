"""How a request to a vCenter fails."""

from jauge_agent.source import RetryError


class ForbiddenError(Exception):
    """A request that must not leave: a defect of this program, never the vCenter's."""


class RefusedError(RetryError):
    """The vCenter does not let this user in."""


class ExpiredError(RetryError):
    """The vCenter does not know the session any more."""


class FaultError(RetryError):
    """The vCenter refuses one request; another may well be answered."""

    def __init__(self, text: str, missing: str | None = None) -> None:
        """``missing``: the object that is not there any more, if that was it."""
        super().__init__(text)
        self.missing = missing
