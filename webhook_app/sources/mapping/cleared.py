"""Whether a delivery says that the person has no value for a field.

That is more than not to mention it. Only what costs next to nothing to look at counts: plain paths, names and headers,
not filters and answers of forms.
"""

from collections.abc import Sequence

from webhook_app.sources.mapping.paths import Path, Scope, walk
from webhook_app.sources.mapping.people import Named
from webhook_app.sources.mapping.values import Absolute, FirstOf, Header, Join, Prefixed, Replaced, Rule, Unless


def says_none(rule: Rule, payload: object, scope: Scope) -> bool:
    """Whether null or blank text is where a rule looks, and nothing else.

    Of alternatives one is enough. Of parts that are joined all are needed: the others may only not be mentioned.
    """
    match rule:
        case Path(steps=steps):
            return steps is not None and _is_blank(walk(steps, payload))
        case FirstOf(rules=rules):
            return any(says_none(one, payload, scope) for one in rules)
        case Join(rules=rules):
            return all(says_none(one, payload, scope) for one in rules)
        case Prefixed(rule=inner) | Replaced(rule=inner) | Absolute(rule=inner) | Unless(rule=inner):
            return says_none(inner, payload, scope)
        case Named():
            return _are_blank(rule.values(payload, scope))
        case Header():
            return rule.value(payload, scope) == ""
    return False


def _are_blank(values: Sequence[object]) -> bool:
    return bool(values) and all(_is_blank(value) for value in values)


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
