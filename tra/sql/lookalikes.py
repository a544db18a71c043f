"""Letters and signs that look like those of ASCII and are others, which nobody finds by looking."""

from __future__ import annotations

import re
import unicodedata

_CYRILLIC = ("АВЕЅІЈКМНОРСТУХԚԜԌасеорхуѕіјһԁԛԝѵ", "ABESIJKMHOPCTYXQWGaceopxysijhdqwv")
_GREEK = ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοϲϳ", "ABEZHIKMNOPTYXocj")
_OTHER = ("ɡı‐‑‒–∕⁄∗⋅∶‚‹›⟨⟩", "gi----//**:,<><>")
_ALIKE = str.maketrans(_CYRILLIC[0] + _GREEK[0] + _OTHER[0], _CYRILLIC[1] + _GREEK[1] + _OTHER[1])


def plain(text: str) -> str:
    """The text with what looks like ASCII as ASCII.

    Example:
        >>> plain("LЕТ"), plain("（１）"), plain("größe")
        ('LET', '(1)', 'größe')
    """
    return unicodedata.normalize("NFKC", text).translate(_ALIKE)


def lookalike_hint(marked: str) -> str | None:
    """What to say of a word or sign that is read as ASCII and is not; None where there is none.

    Example:
        >>> lookalike_hint("LEТ")
        "in ASCII this is 'LET': its letter T is here U+0422, CYRILLIC CAPITAL LETTER TE"
        >>> lookalike_hint("größe"), lookalike_hint("SHOW A")
        (None, None)
    """
    for word in re.findall(r"\w+|\W", marked):
        ascii_word = plain(word)
        if word.isascii() or not ascii_word.isascii() or not ascii_word.strip():
            continue
        char = next(char for char in word if not char.isascii())
        name = unicodedata.name(char, "a character without a name")
        what = "its letter " if len(word) > 1 else ""
        return f"in ASCII this is {ascii_word!r}: {what}{plain(char)} is here U+{ord(char):04X}, {name}"
    return None
