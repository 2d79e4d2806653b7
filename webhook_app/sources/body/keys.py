"""The paths to the values of a payload, to show what a mapping could use."""

from collections.abc import Iterator

#: Levels of a payload whose keys are listed.
KEYS_DEEP = 12


def keys_in(payload: object, before: str = "$", levels: int = KEYS_DEEP) -> Iterator[str]:
    """Yield the paths to all values, with ``[*]`` for every element of an array."""
    match payload:
        case dict() if payload and levels:
            for name, value in payload.items():
                yield from keys_in(value, f"{before}.{name}", levels - 1)
        case list() if payload and levels:
            for value in payload:
                yield from keys_in(value, f"{before}[*]", levels - 1)
        case _:
            yield before
