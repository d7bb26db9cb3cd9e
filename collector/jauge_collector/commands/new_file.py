"""What a command writes for a person to look at: a new file, never over another."""

from pathlib import Path

from jauge_models.configuration import ConfigurationError


def write(path: Path, text: str) -> None:
    """Raises ConfigurationError where the file is there already, and OSError."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigurationError(str(path), "", "is there already", "choose another name") from None
