"""Texts that are nearly right: seeds, changed in a few places."""

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

_WORDS: Final = (
    *(b"null", b"true", b"-0", b"1e999", b"NaN", b"Infinity", b"-1e-400", b"1" * 400, b"0x10"),
    *(
        b'"',
        b"'",
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xf0\x9f\xa6\x84",
    ),
    *(b"[" * 2000, b"{" * 500, b'{"a":' * 200, b"]", b"}", b",", b";", b"\t", b"\r\n", b"\n\n"),
    *(
        b"/",
        b"//",
        b"../",
        b"+",
        b"#",
        b"$SYS",
        b"%00",
        b"%2e%2e",
        b"&",
        b"?",
        b"=",
        b":",
        b"*" * 300,
    ),
    *(b"bn", b"bt", b"bver", b"bseq", b"bfrom", b"bboot", b"x_", b"u", b"v", b"vs", b"vd", b"t"),
    *(b"9" * 20, b"-9223372036854775809", b"18446744073709551616", b"2**53", b"1_000", b"\xc2\xa0"),
    *(b"2026-02-30", b"0000-00-00T24:00:00Z", b"9999-12-31", b"1e308", b"\xe2\x88\x925", b"5,5,5"),
)


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes], most: int = 8) -> bytes:
    """One of the seeds with up to ``most`` places changed, or bytes of no meaning at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=400))
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, most))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 24)))
        match draw(st.integers(0, 5)):
            case 0:
                text = text[:begin] + draw(st.sampled_from(_WORDS)) + text[end:]
            case 1:
                text = text[:begin] + text[end:]
            case 2:
                text = text[:end] + text[begin:]
            case 3:
                text = text[:begin] + draw(st.binary(max_size=4)) + text[begin:]
            case 4:
                other = draw(st.sampled_from(seeds))
                text = text[:begin] + other[min(begin, len(other)) :]
            case _:
                number = str(draw(st.integers() | st.floats())).encode()
                text = text[:begin] + number + text[end:]
    return text
