"""Letters and signs that look like those of ASCII and are others, which nobody finds by looking."""

from __future__ import annotations

import re
import unicodedata

_CYRILLIC = ("АВЕЅІЈКМНОРСТУХԚԜԌасеорхуѕіјһԁԛԝѵ", "ABESIJKMHOPCTYXQWGaceopxysijhdqwv")
_GREEK = ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοϲϳ", "ABEZHIKMNOPTYXocj")
_OTHER = ("ɡı‐‑‒–∕⁄∗⋅∶‚‹›⟨⟩", "gi----//**:,<><>")
_ALIKE = {
    ord(a): b for alike, plain in (_CYRILLIC, _GREEK, _OTHER) for a, b in zip(alike, plain, strict=True)
}


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
        "'LET' in ASCII has T where here is U+0422, CYRILLIC CAPITAL LETTER TE"
        >>> lookalike_hint("größe"), lookalike_hint("SHOW A")
        (None, None)
    """
    for word in re.findall(r"\w+|\W", marked):
        ascii_word = plain(word)
        if word.isascii() or not ascii_word.isascii() or not ascii_word.strip():
            continue
        char = next(char for char in word if not char.isascii())
        name = unicodedata.name(char, "a character without a name")
        return f"{ascii_word!r} in ASCII has {plain(char)} where here is U+{ord(char):04X}, {name}"
    return None
