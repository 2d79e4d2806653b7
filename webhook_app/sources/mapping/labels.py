"""Understands the labels of a form's questions: what is asked for, and about whom.

Labels come in every language and shape: "E-Mail-Adresse*", "What's your *first name*?", ``q4_friendsEmail``. The words
are in ``labels.toml``. A name counts only if the label says nothing else ("Name", "What is your name?"), or puts "your"
before it: "Company name" and "Name of your dog" are no person's.
"""

import html
import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: Characters of a label that are read.
MAX_LABEL = 300
#: The subjects that are names, and the others.
NAMES = ("first_name", "last_name", "full_name", "name")
REACH = ("email", "phone_number", "country")
#: A shorter word for a first or last name must be the whole label: "ad" is Turkish, and English.
MIN_LOOSE = 6

_TABLE = tomllib.loads((Path(__file__).parent / "labels.toml").read_text(encoding="utf-8"))

#: Fillers of templates, tags, and the targets of links in Markdown.
_MARKUP = re.compile(r"\{\{[^{}]*\}\}|<[^<>]*>|\]\([^()]*\)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SENTENCE = re.compile(r"[.!?:;()\[\]\n\r\u2026\uff08\uff09\uff1a\u3002]+")
_POSSESSIVE = re.compile(r"(?<=\w)['\u2019\u02bc`\u00b4]s\b")
#: "e-mail" and "e-post" as one word.
_HYPHENATED = re.compile(r"\be[\s\-\u2010-\u2015_.]?(mail|mel|post)", re.IGNORECASE)
#: Stands for the possessive ending in a cleaned label.
_OWNS = "\u00a7"
_NO_LETTER = re.compile(rf"[^\w{_OWNS}]|[\d_]")
#: Scripts without spaces between words: their words are found inside other text.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
#: Categories of accents and of invisible characters.
_NOT_SPELLED = ("Mn", "Cf")
#: Words before "'s" that own nothing.
_NO_OWNERS = frozenset({"what", "who", "let", "it", "that", "here", "there", "how", "where", "when", "today"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a label asks for.

    ``subjects`` are of ``REACH`` and ``NAMES``. ``is_other``: it means somebody else than the person who fills in the
    form. ``is_second``: a further address or number of that person, or a repetition.
    """

    subjects: frozenset[str] = frozenset()
    is_other: bool = False
    is_second: bool = False


@lru_cache(maxsize=2048)
def understand(label: str) -> Meaning:
    """Return what a label asks for, and about whom."""
    sentences = [words for part in _SENTENCE.split(_plain(label)) if (words := _clean(part))]
    whole = " ".join(sentences)
    reach = {subject for subject in REACH if _SUBJECTS[subject].search(whole)}
    names = frozenset() if _THINGS.search(whole) else _names(sentences)
    is_other = _OTHER.search(whole) is not None or any(_belongs_to_another(words.split()) for words in sentences)
    is_other = is_other and not _YOURS.search(whole)
    return Meaning(names | reach, is_other, _SECOND.search(whole) is not None)


def same_label(label: str) -> str:
    """Return a label without markup, case and needless white space, to compare it."""
    return " ".join(re.sub(r"[*_]", "", _MARKUP.sub(" ", html.unescape(label[:MAX_LABEL]))).casefold().split())


def _plain(label: str) -> str:
    text = _MARKUP.sub(" ", html.unescape(label[:MAX_LABEL]))
    return _HYPHENATED.sub(r"e\1", _CAMEL.sub(" ", text))


def _clean(text: str) -> str:
    """Return the words in lower case, without accents, digits and punctuation."""
    text = _POSSESSIVE.sub(f" {_OWNS} ", text)
    letters = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in letters if unicodedata.category(letter) not in _NOT_SPELLED)
    folded = unicodedata.normalize("NFKC", bare).casefold().replace("\u0131", "i")  # Turkish has an i without a dot
    return " ".join(_NO_LETTER.sub(" ", folded).split())


def _names(sentences: list[str]) -> frozenset[str]:
    found = {subject for words in sentences for subject in NAMES if _asks_for(subject, words)}
    if "full_name" in found or {"first_name", "last_name"} <= found:
        return frozenset({"full_name"})
    return frozenset(found - {"name"} if len(found) > 1 else found)


def _asks_for(subject: str, words: str) -> bool:
    match = _SUBJECTS[subject].search(words)
    if match is None:
        return False
    is_long = len(match[0]) >= MIN_LOOSE or (subject == "full_name" and _UNSPACED.search(match[0]) is not None)
    if subject != "name" and is_long:
        return True
    rest = _FILLERS.sub(" ", f"{words[: match.start()]} {words[match.end() :]}")
    return not rest.strip() or _YOUR_NAME[subject].search(words) is not None


def _belongs_to_another(words: list[str]) -> bool:
    """Find an owner: "Dean's e-mail", "e-mail of the dean", "E-Mail des Dekans"."""
    return any(
        _is_owned_before(words, at) if word == _OWNS else _is_owned_after(words, at) for at, word in enumerate(words)
    )


def _is_owned_before(words: list[str], at: int) -> bool:
    if not at or words[at - 1] in _NO_OWNERS:
        return False
    is_somebodys = at > 1 and words[at - 2] in ("your", "my") and not _THINGS.search(words[at - 1])
    return is_somebodys or not _IS_OWN.search(words[at - 1])


def _is_owned_after(words: list[str], at: int) -> bool:
    following = words[at + 1 :]
    is_of = words[at] in _DIRECT or (words[at] in _WITH_ARTICLE and following[:1] and following[0] in _ARTICLES)
    owner = next((word for word in following if word not in _ARTICLES), "") if is_of else ""
    return bool(owner) and not _IS_OWN.search(owner) and any(_REACHES.search(before) for before in words[:at])


def _pattern(words: Iterable[str], before: str = "") -> re.Pattern[str]:
    """Return a pattern for any of the words: whole ones, but for ``*``."""
    cleaned = sorted({(_clean(word), word.endswith("*")) for word in words}, key=lambda item: -len(item[0]))
    spaced = [re.escape(word) + ("[^ ]*" if is_open else "") for word, is_open in cleaned if not _UNSPACED.search(word)]
    inside = [re.escape(word) for word, _ in cleaned if _UNSPACED.search(word)]
    start = f"(?<![^ ]){before}"
    return re.compile("|".join(filter(None, [f"{start}(?:{'|'.join(spaced)})(?![^ ])" if spaced else "", *inside])))


_SUBJECTS = {subject: _pattern(words) for subject, words in _TABLE["subjects"].items()}
_your = f"(?:{'|'.join(sorted(map(_clean, _TABLE['your']['words'])))}) (?:full |legal |own |preferred |complete )?"
_WITH_YOUR = {
    subject: [word for word in words if word not in _TABLE["alone"]["words"] and not _UNSPACED.search(word)]
    for subject, words in _TABLE["subjects"].items()
}
_YOUR_NAME = {subject: _pattern(_WITH_YOUR[subject], _your) for subject in NAMES}
_REACHES = _pattern(word for subject in (*REACH, *NAMES) for word in _TABLE["subjects"][subject])
_YOURS = _pattern((word for words in _WITH_YOUR.values() for word in words), _your)
_OTHER, _SECOND, _THINGS = (_pattern(_TABLE[key]["words"]) for key in ("other", "second", "things"))
_FILLERS = _pattern([*_TABLE["fillers"]["words"], *_TABLE["filler_in"]["words"], _OWNS])
_IS_OWN = _pattern([*_TABLE["filler_in"]["words"], *_TABLE["things"]["words"], *_TABLE["your"]["words"]])
_DIRECT, _WITH_ARTICLE, _ARTICLES = (
    frozenset(map(_clean, _TABLE["of"][key])) for key in ("direct", "with_article", "articles")
)
