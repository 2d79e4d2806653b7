"""Collects mistakes in the configuration, so that all are reported at once."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from worker.errors import SettingsError


@contextmanager
def collecting(problems: list[str], prefix: str = "") -> Iterator[None]:
    """Add the block's error to ``problems``, after ``prefix``, and continue."""
    try:
        yield
    except SettingsError as error:
        problems += [prefix + problem for problem in error.problems]
    except ValueError as error:
        problems.append(f"{prefix}{error}")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence: the similar known name, or else all of them."""
    if close := get_close_matches(name, known, n=1):
        return f'; did you mean "{close[0]}"?'
    return f"; expected one of {', '.join(known)}" if known else ""


def unknown_keys(keys: Iterable[str], known: Collection[str]) -> list[str]:
    """Return one sentence for each unknown key."""
    return [f"{key}: unknown key{did_you_mean(key, known)}" for key in keys if key not in known]
