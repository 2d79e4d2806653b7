"""Finds the person among the answers of a form: ``{ answer = "email" }``.

Form products agree on nothing: answers are a list with types and labels, or an object whose names are the labels; an
e-mail address may be in a text field, a number a JSON number, a name an object. ``read_answers`` describes a product's
shape, and all of them become ``Answer``s, among which the best one is chosen:

1. An answer about another person ("Friend's e-mail") is never used.
2. What has the type e-mail or phone is used before what only has such a label, and a label that asks for it before one
   that does not.
3. A second address ("Alternative e-mail", "Repeat your e-mail") is used if there is no other.
4. Of equal answers the first is used.

The value of a text must look right: an e-mail address has an ``@``, a phone number six digits, a name neither.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook_app.sources.mapping.labels import MAX_LABEL, Meaning, same_label, understand
from webhook_app.sources.mapping.paths import Path, Scope
from webhook_app.sources.mapping.values import Rule
from worker.normalise import as_text
from worker.phone_numbers import country_of

#: What ``answer`` can name.
ANSWERS = ("email", "phone_number", "name", "country")
#: Steps of ``paths.Work`` that reading an answer counts as, and how many characters of its labels are a step more.
ANSWER_WORK, CHARS_A_STEP = 8, 16
#: The names that form products have for types. Any other type is a text, if its value is one.
TYPES: Mapping[str, str] = {
    **dict.fromkeys(("email", "input_email", "control_email", "e-mail", "email_address", "emailaddress"), "email"),
    **dict.fromkeys(
        ("phone", "phone_number", "input_phone_number", "control_phone", "tel", "phone-number", "phonenumber"),
        "phone_number",
    ),
    **dict.fromkeys(("country", "control_country"), "country"),
    **dict.fromkeys(("name", "full_name", "control_fullname", "fullname", "full-name"), "name"),
    **dict.fromkeys(("hidden_fields", "hidden", "control_hidden"), "hidden"),
}
#: Characters of a summary that are read.
MAX_SUMMARY = 32_768
#: Ranks, best first. Answers without a rank are not used.
TYPED, NEUTRAL, TYPED_AGAIN, LABELLED, BY_VALUE, LABELLED_AGAIN, HIDDEN = range(7)

_EMAIL = re.compile(r"(?:mailto:)?[^@\s,;:<>]+@[^@\s,;:<>]+\.[^@\s,;:<>]+", re.IGNORECASE)
_NO_EDGE = " \t\r\n\u200b\u200c\u200d\u2060\ufeff\u00a0"
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its type of ``TYPES`` or ``text``, its value, and its labels."""

    type: str
    value: str
    labels: tuple[str, ...]
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a form product has its answers; the paths start at the contact's object.

    ``at`` leads to a list of answers, or to an object of answers or of values, whose names are labels. In an answer,
    ``labels``, ``type``, ``value`` and ``id`` are found; ``questions`` have the title of the answer with the same
    ``id``. ``summary`` is a text with all labels and values, in their order: ``Name:Ana, E-mail:ana@example.com``.
    """

    at: Path
    labels: tuple[Rule, ...]
    type: Rule
    value: Rule
    id: Rule | None = None
    questions: tuple[Path, ...] = ()
    summary: Rule | None = None

    def read(self, payload: object, scope: Scope) -> list[Answer]:
        """Return the answers that have a value, once for each payload."""
        key = (id(self), id(payload))
        if key not in scope.work.found:
            scope.work.found[key] = payload, list(self._answers(payload, scope))
        return scope.work.found[key][1]

    def _answers(self, payload: object, scope: Scope) -> Iterator[Answer]:
        answers = self.at.value(payload, scope)
        summary = Summary((as_text(self.summary.value(payload, scope)) or "") if self.summary else "")
        titles = self._titles(payload, scope) if self.id else {}
        for name, entry in _entries(answers):
            value = self.value.value(entry, scope) if isinstance(entry, dict) else None
            if isinstance(answers, dict) and value is None:
                kind, labels, value = "", (name,), entry
            else:
                kind = (as_text(self.type.value(entry, scope)) or "").casefold()
                labels = (*((name,) if name else ()), *self._labels(entry, titles, scope))
            scope.work.spend(_cost(labels))
            yield from _answer(TYPES.get(kind, "text"), value, labels, summary)

    def _labels(self, entry: object, titles: Mapping[str, str], scope: Scope) -> tuple[str, ...]:
        labels = [as_text(label.value(entry, scope)) for label in self.labels]
        if self.id:
            labels.append(titles.get(as_text(self.id.value(entry, scope)) or ""))
        return tuple(label for label in labels if label)

    def _titles(self, payload: object, scope: Scope) -> dict[str, str]:
        titles: dict[str, str] = {}
        for path in self.questions:
            for question in path.values(payload, scope):
                scope.work.spend()
                if isinstance(question, dict) and (title := as_text(question.get("title"))):
                    titles.setdefault(as_text(question.get("id")) or "", title)
        return titles


class Summary:
    """Finds the labels of values in a text that has all of them, each after the last."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text[:MAX_SUMMARY], 0

    def label(self, value: str) -> str:
        """Return the label before a value, or ``""``."""
        at = self.text.find(f":{value}", self.at) if self.text and len(value) <= MAX_LABEL else -1
        if at < 0 or self.text[at + 1 + len(value) :][:2] not in ("", ", "):
            return ""
        label, self.at = self.text[self.at : at], at + 1 + len(value)
        return label.rpartition(", ")[2]


@dataclass(frozen=True, slots=True)
class Answered:
    """The best answer for a field of the contact, of ``ANSWERS``."""

    shape: Shape
    subject: str

    def value(self, payload: object, scope: Scope) -> object:
        answers = self.shape.read(payload, scope)
        return _full_name(answers) if self.subject == "name" else _reach(answers, self.subject)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The answer with this label, but for case, markup and white space."""

    shape: Shape
    label: str

    def value(self, payload: object, scope: Scope) -> object:
        wanted = same_label(self.label)
        found = (answer for answer in self.shape.read(payload, scope) if wanted in map(same_label, answer.labels))
        return next((answer.value for answer in found), None)


def _entries(answers: object) -> Iterator[tuple[str, Any]]:
    if isinstance(answers, dict):
        yield from answers.items()
    elif isinstance(answers, list):
        yield from (("", entry) for entry in answers)


def _cost(labels: tuple[str, ...]) -> int:
    return ANSWER_WORK + sum(min(len(label), MAX_LABEL) for label in labels) // CHARS_A_STEP


def _answer(kind: str, value: object, labels: tuple[str, ...], summary: Summary | None = None) -> Iterator[Answer]:
    """Yield the answer, if it has a value; an object says itself what it is."""
    if isinstance(value, dict):
        kind, value = _from_parts(value)
    text = (as_text(value) or "").strip(_NO_EDGE)
    if text:
        if summary and (label := summary.label(text)):
            labels = (label, *labels)
        meanings = [understand(label) for label in labels]
        is_other, is_second = (any(getattr(m, name) for m in meanings) for name in ("is_other", "is_second"))
        subjects = next((meaning.subjects for meaning in meanings if meaning.subjects), frozenset())
        yield Answer(kind, text, labels, Meaning(subjects, is_other, is_second))


def _from_parts(parts: dict[str, Any]) -> tuple[str, str]:
    """Return the type and the text of a value with parts, as Jotform's widgets do."""

    def joined(*names: str) -> str:
        return " ".join(text for name in names if (text := (as_text(parts.get(name)) or "").strip()))

    if "full" in parts or "phone" in parts:
        prefix = "+" if joined("country").isdecimal() else ""
        return "phone_number", joined("full") or prefix + joined("country", "area", "phone")
    if name := joined("first", "last"):
        return "name", name
    return "country", joined("country")


def _reach(answers: list[Answer], subject: str) -> str | None:
    ranked = [(rank, answer.value) for answer in answers if (rank := _rank(answer, subject)) is not None]
    return min(ranked, key=lambda item: item[0])[1] if ranked else None


def _rank(answer: Answer, subject: str) -> int | None:
    """Return how well an answer fits, or ``None`` if it does not."""
    meaning = answer.meaning
    is_labelled = subject in meaning.subjects
    if meaning.is_other or not _looks_right(answer, subject):
        return None
    if answer.type == subject:
        return TYPED_AGAIN if meaning.is_second else TYPED if is_labelled else NEUTRAL
    if answer.type == "hidden":
        return HIDDEN if is_labelled else None
    if answer.type != "text":
        return None
    if not is_labelled and subject != "email":
        return None
    return LABELLED_AGAIN if meaning.is_second else LABELLED if is_labelled else BY_VALUE


def _looks_right(answer: Answer, subject: str) -> bool:
    if subject == "country":
        return country_of(answer.value) is not None
    if subject == "email":
        return answer.type == "email" or _EMAIL.fullmatch(answer.value) is not None
    return answer.type == subject or (len(_DIGIT.findall(answer.value)) >= 6 and "@" not in answer.value)


def _full_name(answers: list[Answer]) -> str | None:
    """Return a name in one answer, or else one joined from several."""
    usable = [answer for answer in answers if not answer.meaning.is_other]
    typed = [answer for answer in usable if answer.type == "name"]
    texts = [answer for answer in usable if answer.type == "text" and _is_name(answer.value)]
    for candidates in (typed, texts):
        if whole := _named(candidates, "full_name"):
            return whole
    if typed:
        return _named(typed, "name") or typed[0].value
    first, last, name = (_named(texts, subject) for subject in ("first_name", "last_name", "name"))
    whole = _joined(first or name, last or name) if first or last else name
    return whole or _hidden_name(usable)


def _hidden_name(answers: list[Answer]) -> str | None:
    return _named([answer for answer in answers if answer.type == "hidden"], "name")


def _named(answers: list[Answer], subject: str) -> str | None:
    return next((answer.value for answer in answers if subject in answer.meaning.subjects), None)


def _is_name(text: str) -> bool:
    return "@" not in text and "://" not in text and _LETTER.search(text) is not None


def _joined(first: str | None, last: str | None) -> str | None:
    """Join two parts, unless one contains the other: "Ada" and "Ada Lovelace"."""
    if not first or not last:
        return first or last
    if first.casefold() in last.casefold().split() or last.casefold().startswith(f"{first.casefold()} "):
        return last
    if last.casefold() in first.casefold().split() or first.casefold().endswith(f" {last.casefold()}"):
        return first
    return f"{first} {last}"
