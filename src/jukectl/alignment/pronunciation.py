"""English letters to sounds by rule, for words that are in no dictionary. Sounds are those of the CMU dictionary.

It need not be right, only near: the word's place is known from its neighbours, and most sounds are enough to find it.
"""

import re

RULES = (
    # in the order in which they are tried; what stands first in a word, or last, is marked with ^ and $
    ("^kn", "N"), ("^gn", "N"), ("^wr", "R"), ("^ps", "S"), ("^x", "Z"), ("^y", "Y"),
    ("tch", "CH"), ("sch", "SH"), ("igh", "AY"), ("eigh", "EY"), ("augh", "AO"), ("ough", "AO"), ("tion", "SH AH N"),
    ("sion", "ZH AH N"), ("ture", "CH ER"), ("dge", "JH"), ("ck", "K"), ("ch", "CH"), ("sh", "SH"), ("th", "TH"),
    ("ph", "F"), ("wh", "W"), ("qu", "K W"), ("ng$", "NG"), ("in'$", "IH N"), ("ing$", "IH NG"), ("ings$", "IH NG Z"),
    ("ed$", "D"), ("'s$", "Z"), ("'ll$", "AH L"), ("'re$", "ER"), ("'ve$", "V"), ("'d$", "D"), ("n't$", "AH N T"),
    ("le$", "AH L"), ("les$", "AH L Z"), ("er$", "ER"), ("ers$", "ER Z"), ("e$", ""), ("es$", "Z"), ("y$", "IY"),
    ("ai", "EY"), ("ay", "EY"), ("au", "AO"), ("aw", "AO"), ("ar", "AA R"), ("ea", "IY"), ("ee", "IY"), ("ei", "EY"),
    ("er", "ER"), ("eu", "UW"), ("ew", "UW"), ("ey", "IY"), ("ie", "IY"), ("ir", "ER"), ("oa", "OW"), ("oi", "OY"),
    ("oo", "UW"), ("or", "AO R"), ("ou", "AW"), ("ow", "OW"), ("oy", "OY"), ("ur", "ER"), ("uy", "AY"), ("ya", "Y AA"),
    ("bb", "B"), ("cc", "K"), ("dd", "D"), ("ff", "F"), ("gg", "G"), ("kk", "K"), ("ll", "L"), ("mm", "M"),
    ("nn", "N"), ("pp", "P"), ("rr", "R"), ("ss", "S"), ("tt", "T"), ("zz", "Z"),
    ("ce", "S EH"), ("ci", "S IH"), ("cy", "S IY"), ("ge", "JH EH"),
    ("a", "AE"), ("b", "B"), ("c", "K"), ("d", "D"), ("e", "EH"), ("f", "F"), ("g", "G"), ("h", "HH"), ("i", "IH"),
    ("j", "JH"), ("k", "K"), ("l", "L"), ("m", "M"), ("n", "N"), ("o", "OW"), ("p", "P"), ("q", "K"), ("r", "R"),
    ("s", "S"), ("t", "T"), ("u", "AH"), ("v", "V"), ("w", "W"), ("x", "K S"), ("y", "IH"), ("z", "Z"),
    ("0", "Z IH R OW"), ("1", "W AH N"), ("2", "T UW"), ("3", "TH R IY"), ("4", "F AO R"), ("5", "F AY V"),
    ("6", "S IH K S"), ("7", "S EH V AH N"), ("8", "EY T"), ("9", "N AY N"),
)  # fmt: skip
"""Letters to sounds. An e between a vowel, a consonant and the end makes the vowel long, see LONG."""

LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}
_MUTE_E = re.compile(r"([aeiou])([bcdfgklmnpqrstvz])e(s?)$")
_VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}


def sounds(word: str) -> tuple[str, ...]:
    """Return the phonemes of a word of lower-case letters, digits and apostrophes; at least one unless it is empty."""
    found: list[str] = []
    place = 0
    mute = _MUTE_E.search(word)
    while place < len(word):
        if mute and place == mute.start():
            found.append(LONG[word[place]])
            place += 1
            continue
        for letters, said in RULES:
            bare = letters.strip("^$")
            if (
                word.startswith(bare, place)
                and (not letters.startswith("^") or place == 0)
                and (not letters.endswith("$") or (place + len(bare) == len(word) and _has_vowel(found, said)))
            ):
                found += said.split()
                place += len(bare)
                break
        else:
            place += 1
    return tuple(found)


def _has_vowel(found: list[str], said: str) -> bool:
    """Return True if an ending counts as one: a vowel is in it or before it."""
    return bool(_VOWELS & {*found, *said.split()})
