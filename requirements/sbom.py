"""Writes a CycloneDX bill of materials of what a lock file installs, with our own packages.

``python requirements/sbom.py PROJECT... --lock FILE --installed DIR --output FILE``: the first
project is what the bill is of, the others are parts of it. Licences and what needs what come from
the packages as installed in DIR, where their version is the locked one. The same input gives the
same bytes. Raises SystemExit with a line where the result would not be valid.
"""  # noqa: INP001 (a program beside the files it reads)

import argparse
import re
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PIN: Final = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\\n]+?))?\s*\\")
_LONGEST_LICENCE: Final = 100
"""Some packages write the whole text of a licence where its name belongs."""


class Pin(NamedTuple):
    """One locked version; several of a name differ by what they are for."""

    name: str
    version: str
    marker: str
    hashes: list[str]


class Installed(NamedTuple):
    """What a package says of itself."""

    licence: str
    needs: list[str]


def pins(lock: Path) -> Iterator[Pin]:
    """The locked versions of a requirements file, in its order."""
    for block in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip()):
        match = _PIN.match(block)
        if match is None:
            raise SystemExit(f"{lock}: not a pin with hashes: {block.splitlines()[0]}")
        name, version, marker = match.groups()
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", block)
        yield Pin(canonicalize_name(name), version, marker or "", hashes)


def installed(folder: Path) -> dict[tuple[str, str], Installed]:
    """What the packages of an environment say of themselves, by name and version."""
    places = [str(path) for path in folder.glob("lib/python*/site-packages")]
    found: dict[tuple[str, str], Installed] = {}
    for package in metadata.distributions(path=places):
        about = package.metadata
        needs = [Requirement(text) for text in about.get_all("Requires-Dist") or ()]
        found[canonicalize_name(about["Name"]), about["Version"]] = Installed(
            _licence(about),
            [canonicalize_name(n.name) for n in needs if "extra" not in str(n.marker)],
        )
    return found


def _licence(about: metadata.PackageMetadata) -> str:
    """The licence's name: an SPDX expression where there is one, else as the package words it."""
    classified = [
        text.rpartition(" :: ")[2]
        for text in about.get_all("Classifier") or ()
        if text.startswith("License :: OSI Approved :: ")
    ]
    for text in (about.get("License-Expression"), about.get("License"), *classified):
        if text and len(text) <= _LONGEST_LICENCE and "\n" not in text and text != "UNKNOWN":
            return text
    return ""


def _component(pin: Pin, about: Installed | None) -> Component:
    component = Component(
        type=ComponentType.LIBRARY,
        name=pin.name,
        version=pin.version,
        bom_ref=f"{pin.name}=={pin.version}",
        purl=PackageURL("pypi", name=pin.name, version=pin.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=text) for text in pin.hashes],
    )
    if pin.marker:
        component.properties.add(Property(name="jauge:marker", value=pin.marker))
    if about is not None and about.licence:
        component.licenses.add(
            LicenseFactory().make_from_string(
                about.licence, license_acknowledgement=LicenseAcknowledgement.DECLARED
            )
        )
    return component


def _own(folder: Path, kind: ComponentType) -> tuple[Component, list[str]]:
    """One of our packages, and the names of what it needs."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    said = project["tool"]["hatch"]["version"]["path"]
    text = (folder / said).read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if version is None:
        raise SystemExit(f"{folder / said}: says no version")
    about = project["project"]
    component = Component(
        type=kind,
        name=about["name"],
        version=version[1],
        bom_ref=about["name"],
        description=about["description"],
        licenses=[LicenseFactory().make_from_string(about["license"])],
    )
    needs = [Requirement(text).name for text in about.get("dependencies", ())]
    return component, [canonicalize_name(name) for name in needs]


def bill(projects: Iterable[Path], lock: Path, environment: Path) -> str:
    """The bill as JSON, valid by the schema."""
    bom = Bom()
    known = installed(environment)
    own = [
        _own(folder, ComponentType.LIBRARY if at else ComponentType.APPLICATION)
        for at, folder in enumerate(projects)
    ]
    bom.metadata.timestamp = None
    bom.metadata.component = own[0][0]
    by_name: dict[str, list[Component]] = {component.name: [component] for component, _ in own}
    needs: list[tuple[Component, list[str]]] = list(own)
    for component, _ in own[1:]:
        bom.components.add(component)
    for pin in pins(lock):
        about = known.get((pin.name, pin.version))
        component = _component(pin, about)
        bom.components.add(component)
        by_name.setdefault(pin.name, []).append(component)
        needs.append((component, about.needs if about else []))
    for component, names in needs:
        wanted = [other for name in names for other in by_name.get(name, ())]
        bom.register_dependency(component, wanted)
    bom.serial_number = uuid.uuid5(
        uuid.NAMESPACE_URL, JsonV1Dot6(bom).output_as_string().partition("serialNumber")[0]
    )
    text: str = JsonV1Dot6(bom).output_as_string(indent=1)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        raise SystemExit(f"{lock}: the bill is not valid CycloneDX: {problem}")
    return f"{text}\n"


def main() -> None:
    """Write one bill."""
    parser = argparse.ArgumentParser(description="Writes a CycloneDX bill of materials.")
    parser.add_argument("projects", nargs="+", type=Path, help="folders; the first is the subject")
    parser.add_argument("--lock", required=True, type=Path, help="requirements file with hashes")
    parser.add_argument("--installed", required=True, type=Path, help="environment to look into")
    parser.add_argument("--output", required=True, type=Path, help="file to write")
    args = parser.parse_args()
    text = bill(args.projects, args.lock, args.installed)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{args.output}\n")


if __name__ == "__main__":
    main()
