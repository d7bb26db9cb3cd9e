"""The part of a lock file that one Python on one kind of machine needs, its markers resolved.

``pip download --python-version`` asks the markers of the Python that runs it, not of the named one.
"""  # noqa: INP001 (a program beside the one that calls it)

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

_LEAST: Final = re.compile(r"[0-9]+\.[0-9]+")


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path, help="a file of requirements with hashes")
    parser.add_argument("python", help="for example 3.13")
    parser.add_argument("machine", help="for example x86_64")
    options = parser.parse_args()
    if not _LEAST.fullmatch(options.python):
        parser.error(f"'{options.python}' is no version of Python; write for example 3.13")
    environment = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": options.machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{options.python}.0",
        "python_version": options.python,
        "sys_platform": "linux",
    }
    for requirement, hashes in _blocks(options.lock.read_text(encoding="utf-8")):
        try:
            wanted = Requirement(requirement)
        except InvalidRequirement as error:
            parser.error(f"{options.lock}: {error}")
        if wanted.marker is None or wanted.marker.evaluate(environment):
            sys.stdout.write(f"{wanted.name}{wanted.specifier} {' '.join(hashes)}\n")


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each requirement without its hashes, and these."""
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement, *hashes = re.split(r"\s+(?=--hash=)", line.strip())
        yield requirement, [each.strip() for each in hashes]


if __name__ == "__main__":
    main()
