"""What a JSONPath's filter asks about each element (RFC 9535, section 2.3.5), made into functions."""

from collections.abc import Callable
from decimal import Decimal
from time import thread_time
from typing import TYPE_CHECKING, Any

import regex
from iregexp_check import check as is_iregexp
from jsonpath_rfc9535 import JSONPathQuery, JSONPathTypeError
from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    Expression,
    FilterExpression,
    FilterExpressionLiteral,
    FilterQuery,
    FunctionExtension,
    LogicalExpression,
    PrefixExpression,
    RootFilterQuery,
    StringLiteral,
)
from jsonpath_rfc9535.function_extensions._pattern import map_re

from webhook_app.sources.mapping.steps import (
    MISSING,
    TooMuchWork,
    Work,
    walk,
)

if TYPE_CHECKING:
    from webhook_app.sources.mapping.search import Find, Search

#: Characters of a text that a pattern is tried on; what can be a contact's field is far shorter.
MAX_SUBJECT = 2048
#: What a second of trying a pattern counts as.
STEPS_A_SECOND = 500_000

#: Whether an element passes, given the whole payload as well. Raises ``TooMuchWork`` before it is known.
Test = Callable[[Any, Any, Work], bool]
#: One value, or ``MISSING``, from an element and the whole payload.
Operand = Callable[[Any, Any, Work], Any]
#: How a query in a filter is made: ``search.make_search``.
MakeSearch = Callable[[JSONPathQuery], "Search"]


def make_test(expression: Expression, make_search: MakeSearch) -> Test:
    """What ``expression`` asks, as a function.

    Raises:
        JSONPathTypeError: it is no question, or one that a payload could make run long.
    """
    match expression:
        case FilterExpression(expression=inner):
            return make_test(inner, make_search)
        case PrefixExpression(right=right):  # "!": there is no other
            return _not(make_test(right, make_search))
        case LogicalExpression(left=left, operator=operator, right=right):
            both = make_test(left, make_search), make_test(right, make_search)
            return _and(*both) if operator == "&&" else _or(*both)
        case ComparisonExpression(left=left, operator=operator, right=right):
            return _compares(_operand(left, make_search), operator, _operand(right, make_search))
        case FilterQuery():
            return _exists(_query(expression, make_search))
        case FunctionExtension(name="match" | "search", args=[subject, pattern]):
            return _matches(_operand(subject, make_search), _finder(expression, pattern))
    raise JSONPathTypeError("this must be compared with something", token=expression.token)


def _not(holds: Test) -> Test:
    return lambda value, root, work: not holds(value, root, work)


def _and(left: Test, right: Test) -> Test:
    return lambda value, root, work: left(value, root, work) and right(value, root, work)


def _or(left: Test, right: Test) -> Test:
    return lambda value, root, work: left(value, root, work) or right(value, root, work)


def _exists(find: "Find") -> Test:
    return lambda value, root, work: bool(find(value, root, work))


def _compares(left: Operand, operator: str, right: Operand) -> Test:
    compare = COMPARISONS[operator]

    def holds(value: Any, root: Any, work: Work) -> bool:
        work.spend()
        return compare(left(value, root, work), right(value, root, work))

    return holds


def _operand(expression: Expression, make_search: MakeSearch) -> Operand:
    """What can be compared, or given to a function that takes a value."""
    match expression:
        case FilterExpressionLiteral(value=literal):
            return lambda _value, _root, _work: literal
        case FilterQuery(query=query) if (steps := make_search(query).steps) is not None:
            if isinstance(expression, RootFilterQuery):
                return lambda _value, root, _work: walk(steps, root)
            return lambda value, _root, _work: walk(steps, value)
        case FunctionExtension(name="length", args=[arg]):
            return _length(_operand(arg, make_search))
        case FunctionExtension(name="count" | "value" as name, args=[FilterQuery() as arg]):
            find = _query(arg, make_search)
            return _count(find) if name == "count" else _only_value(find)
    raise JSONPathTypeError("this cannot be compared", token=expression.token)


def _query(expression: FilterQuery, make_search: MakeSearch) -> "Find":
    find = make_search(expression.query).find
    return _find_once(find) if isinstance(expression, RootFilterQuery) else find


def _find_once(find: "Find") -> "Find":
    """A query of the whole payload finds the same for every element, and so is made once for all of them."""

    def find_once(_value: Any, root: Any, work: Work) -> list[Any]:
        key = (id(find), id(root))
        found = work.found.get(key)
        if found is None:
            found = work.found[key] = find(root, root, work)
        return found

    return find_once


def _length(operand: Operand) -> Operand:
    def length(value: Any, root: Any, work: Work) -> Any:
        found = operand(value, root, work)
        return len(found) if isinstance(found, str | list | dict) else MISSING

    return length


def _count(find: "Find") -> Operand:
    return lambda value, root, work: len(find(value, root, work))


def _only_value(find: "Find") -> Operand:
    def only_value(value: Any, root: Any, work: Work) -> Any:
        found = find(value, root, work)
        return found[0] if len(found) == 1 else MISSING

    return only_value


def _finder(call: FunctionExtension, pattern: Expression) -> Callable[..., Any]:
    """The function that tries a pattern, in the notation of RFC 9485: made once, from one that is written out."""
    if not isinstance(pattern, StringLiteral) or not is_iregexp(pattern.value):
        raise JSONPathTypeError(f"{call.name}() needs a pattern (RFC 9485) that is written out", token=call.token)
    compiled = regex.compile(map_re(pattern.value), regex.VERSION1)
    return compiled.fullmatch if call.name == "match" else compiled.search


def _matches(operand: Operand, is_found: Callable[..., Any]) -> Test:
    def holds(value: Any, root: Any, work: Work) -> bool:
        work.spend()
        subject = operand(value, root, work)
        if not isinstance(subject, str) or len(subject) > MAX_SUBJECT:
            return False
        began = thread_time()
        try:
            return is_found(subject, timeout=(work.left + 1) / STEPS_A_SECOND) is not None
        except TimeoutError:
            raise TooMuchWork from None
        finally:
            work.spend(int((thread_time() - began) * STEPS_A_SECOND))

    return holds


def _equal(left: Any, right: Any) -> bool:
    """Equality as JSON has it: ``true`` is not 1. What is nested too deeply to be compared is not equal."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    try:
        same: bool = left == right
    except RecursionError:
        return False
    return same


def _less(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    return _is_number(left) and _is_number(right) and bool(left < right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _less,
    ">": lambda left, right: _less(right, left),
    "<=": lambda left, right: _less(left, right) or _equal(left, right),
    ">=": lambda left, right: _less(right, left) or _equal(left, right),
}
