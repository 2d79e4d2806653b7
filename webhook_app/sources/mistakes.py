"""How mistakes in the configuration are collected and worded: all at once, each as one sentence."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from worker.errors import SettingsError


@contextmanager
def collecting(problems: list[str], prefix: str = "") -> Iterator[None]:
    """Adds what goes wrong inside to ``problems``, with ``prefix`` before it, and goes on after the block."""
    try:
        yield
    except SettingsError as error:
        problems += [prefix + problem for problem in error.problems]
    except ValueError as error:
        problems.append(f"{prefix}{error}")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The known name that is close to ``name``, as the end of a sentence; otherwise all of them."""
    if close := get_close_matches(name, known, n=1):
        return f'; did you mean "{close[0]}"?'
    return f"; known are {', '.join(known)}" if known else ""


def unknown_keys(keys: Iterable[str], known: Collection[str]) -> list[str]:
    """One sentence for each of ``keys`` that is not known."""
    return [f"{key}: there is no such key{did_you_mean(key, known)}" for key in keys if key not in known]
