"""Rules for custom and additional attributes, one each or one for an object."""

from collections.abc import Mapping
from dataclasses import dataclass

from webhook_app.sources.mapping.answers import Shape
from webhook_app.sources.mapping.cleared import says_none
from webhook_app.sources.mapping.paths import Scope, is_usable
from webhook_app.sources.mapping.rules import compile_rule
from webhook_app.sources.mapping.values import Rule
from webhook_app.sources.mistakes import collecting
from worker.attributes import MAX_ATTRIBUTES, is_name
from worker.errors import SettingsError
from worker.model import DELETED_AT


@dataclass(frozen=True, slots=True)
class Attributes:
    """A rule for each attribute by name.

    The value is an object. It has null for what the person has no value for, which with ``absent_clears`` is also what
    the delivery does not mention.
    """

    rules: Mapping[str, Rule]
    absent_clears: bool = False

    def value(self, payload: object, scope: Scope) -> object:
        scope = Scope(scope.headers, scope.work, _is_attribute)
        found: dict[str, object] = {}
        for name, rule in self.rules.items():
            value = rule.value(payload, scope)
            if value is not None or self.absent_clears or says_none(rule, payload, scope):
                found[name] = value
        return found or None


def compile_attributes(written: object, shape: Shape | None, *, absent_clears: bool) -> Rule:
    """Compile a table of rules by name, or the path of an object with all attributes.

    Raises:
        ValueError: it is neither.
        SettingsError: one sentence for each mistake in the table.
    """
    if isinstance(written, str):
        return compile_rule(written)
    if isinstance(written, list) and written and all(isinstance(path, str) for path in written):
        return compile_rule(written)
    if not isinstance(written, dict):
        raise ValueError('must be a table of rules by name, or the path of an object, like "$.custom_attributes"')
    problems = [] if len(written) <= MAX_ATTRIBUTES else [f": has more than {MAX_ATTRIBUTES} attributes"]
    rules: dict[str, Rule] = {}
    for name, rule in written.items():
        with collecting(problems, f".{name}: "):
            rules[_checked(name)] = compile_rule(rule, shape)
    if problems:
        raise SettingsError(problems)
    return Attributes(rules, absent_clears)


def _checked(name: str) -> str:
    if name == DELETED_AT:
        raise ValueError("is reserved for deleted people")
    if not is_name(name):
        raise ValueError("a name begins with a letter, and has at most 64 letters, digits, - and _")
    return name


def _is_attribute(value: object) -> bool:
    return isinstance(value, bool) or is_usable(value)
