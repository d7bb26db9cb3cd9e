"""Who is a second person: the one rule by which two names are one person's."""

import unicodedata


def person_key(name: str) -> str:
    """A name without what typing alone makes of it: its letters and digits, word by word.

    Case, accents, blanks, hyphens, signs that nobody sees and the order of the words are left out:
    two people of one name tell themselves apart by one more, nobody becomes two by a hyphen. Empty
    for a name without a letter or digit.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    # Marks and format characters vanish inside a word; any other sign parts words.
    seen = (c for c in plain if unicodedata.category(c) not in {"Mn", "Me", "Cf"})
    return " ".join(sorted("".join(c if c.isalnum() else " " for c in seen).split()))


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, however they were typed."""
    return person_key(one) == person_key(other)
