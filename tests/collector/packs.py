"""Packs as an agent sends them, for the collector's tests."""

from collections.abc import Iterable

from jauge_models.wire import Address, Channel, Sample, encode_samples, seal

ADDRESS = Address("s", "a")
TOPIC = ADDRESS.topic(Channel.READINGS)
NOW_MS = 1_790_000_000_000
SAMPLES = (
    Sample("host", "power", 61.5),
    Sample("host", "energy", 1234.5),
    Sample("gpu:0", "temperature", 48.25),
)


def pack(
    samples: Iterable[Sample] = SAMPLES,
    *,
    address: Address = ADDRESS,
    boot: str = "b1",
    seq: int = 1,
    time_ms: int = NOW_MS,
    oldest_ms: int | None = None,
) -> bytes:
    """One sealed pack."""
    return seal(
        encode_samples(samples),
        address=address,
        boot=boot,
        seq=seq,
        oldest_ms=time_ms if oldest_ms is None else oldest_ms,
        time_ms=time_ms,
    )
