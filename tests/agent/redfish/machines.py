"""Documents of small servers, written by hand: every value is an example, measured nowhere."""

import copy
from typing import Any, Final

UUID: Final = "5f0a7c7e-4a0b-4c4e-9d7f-0d3c2b1a0f01"
SYSTEM: Final = "/redfish/v1/Systems/1"
CHASSIS: Final = "/redfish/v1/Chassis/1"
HOST: Final = f"host:{UUID}"

Documents = dict[str, dict[str, Any]]


def to(path: str) -> dict[str, str]:
    """A link."""
    return {"@odata.id": path}


def listed(*paths: str) -> dict[str, Any]:
    """A collection."""
    return {"Members": [to(path) for path in paths]}


def server(**power: Any) -> Documents:
    """One system in one chassis, with a Power document that holds ``power``."""
    return copy.deepcopy(
        {
            "/redfish/v1": {
                "Systems": to("/redfish/v1/Systems"),
                "Chassis": to("/redfish/v1/Chassis"),
            },
            "/redfish/v1/Systems": listed(SYSTEM),
            SYSTEM: {"Id": "1", "Name": "System", "UUID": UUID.upper(), "PowerState": "On"},
            "/redfish/v1/Chassis": listed(CHASSIS),
            CHASSIS: {
                "Id": "1",
                "SerialNumber": "EX1",
                "Links": {"ComputerSystems": [to(SYSTEM)]},
                "Power": to(f"{CHASSIS}/Power"),
            },
            f"{CHASSIS}/Power": power,
        }
    )


def control(watts: object, *related: str, **more: object) -> dict[str, Any]:
    """A member of PowerControl."""
    return {"PowerConsumedWatts": watts, "RelatedItem": [to(path) for path in related], **more}
