"""What a template does with the fields of a row, as a recording that can be played for other rows.

A template is run once with every field in a `Hole`. A hole knows the field's value for this row. It
takes part in the operations that Jinja asks for, and records each as a *step*: a call whose arguments are
the results of earlier steps. Where the run depends on a value (a condition, the length of a loop), the
hole answers for this row and records the answer as a *guard*. The output is constant text with holes
between. For another row, the steps are played and give that row's values. As long as every guard has the
same answer, the output is what the template would have put out.

This is safe for two reasons. An operation that cannot be recorded raises `NotTraceableError`: there is no
``__str__``, ``__hash__``, ``__len__``, ``__int__``, ``__format__`` or ``__repr__`` that could return a
value. And only operations whose result depends on nothing but their arguments are recorded. A template
that does anything else is rendered by Jinja for each row.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

# Items. A loop over more is not recorded: each item is a step of its own.
_LONGEST_LOOP: Final = 100

Memo = list[Any]
Step = Callable[[Memo], Any]


class NotTraceableError(Exception):
    """The template does something with a field that cannot be recorded."""


def start(variables: Mapping[str, Any]) -> Memo:
    """Return the results that are there before the first step: a row's variables, and their values."""
    return [variables, *variables.values()]


class Trace:
    """A recording: *steps*, *guards*, and in *memo* the results for this row.

    Results are numbered: 0 is the row's variables, then come their values in order, then the steps'
    results. A guard is the number of steps before it, the number of a result, and the answer. *fields*
    are the holes of the variables.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.steps: list[Step] = []
        self.guards: list[tuple[int, int, Any]] = []
        self.memo: Memo = start(variables)
        self.fields: dict[str, Hole] = {}
        for number, name in enumerate(variables, 1):
            self.fields[name] = hole = Hole(self, number, variables[name])
            hole.is_field = True
        self._known: dict[object, Hole] = {}
        self._answered: set[int] = set()
        # Constants that are in keys by their `id` must live as long: another one could get the same `id`.
        self._kept: list[object] = []

    def derive(self, operation: object, function: Callable[..., Any], *args: Any) -> "Hole":
        """Record ``function(*args)``, where some of *args* are holes, and return the result's hole.

        *operation* names the function: the same operation on the same arguments is recorded once.
        """
        args = tuple(map(self.lifted, args))
        key = (operation, tuple(map(self._key, args)))
        return self._step(key, _call(function, args))

    def lifted(self, value: Any) -> Any:
        """Return *value*, as a hole when it is a list, tuple or dict with holes in it."""
        if isinstance(value, Fragment):
            return value.joined()
        kind = type(value)
        if kind in {list, tuple} and any(map(holds, value)):
            return self.derive(kind, lambda *items: kind(items), *value)
        if kind is dict and any(map(holds, value.values())):
            names = tuple(value)
            make = lambda *items: dict(zip(names, items, strict=True))  # noqa: E731 - a closure
            return self.derive((dict, names), make, *value.values())
        if kind is slice and holds((value.start, value.stop, value.step)):
            return self.derive(slice, slice, value.start, value.stop, value.step)
        return value

    def answer(self, hole: "Hole") -> Any:
        """Return the value of *hole* as a guard: a row for which it differs takes another way."""
        if hole.number not in self._answered:
            self._answered.add(hole.number)
            self.guards.append((len(self.steps), hole.number, hole.value))
        return hole.value

    def _step(self, key: object, step: Step) -> "Hole":
        if key not in self._known:
            value = step(self.memo)
            self.steps.append(step)
            self.memo.append(value)
            self._known[key] = Hole(self, len(self.memo) - 1, value)
        return self._known[key]

    def _key(self, value: Any) -> object:
        if isinstance(value, Hole):
            return ("hole", value.number)
        if isinstance(value, str | int | bytes | bool | None):
            return (type(value), value)
        if isinstance(value, float):
            return (float, repr(value))  # 0.0 and -0.0 are equal, but print differently
        self._kept.append(value)
        return ("object", id(value))


def holds(value: Any) -> bool:
    """Tell whether there is a hole in *value*, at any depth of lists, tuples and dicts."""
    if isinstance(value, Hole | Fragment):
        return True
    if type(value) in {list, tuple}:
        return any(map(holds, value))
    if type(value) is dict:
        return any(map(holds, value.values()))
    return type(value) is slice and holds((value.start, value.stop, value.step))


def _call(function: Callable[..., Any], args: Sequence[Any]) -> Step:
    """Return a step that calls *function* with constants and the results of earlier steps."""
    numbers = [arg.number if isinstance(arg, Hole) else None for arg in args]
    if len(args) == 1 and numbers[0] is not None:
        only = numbers[0]
        return lambda memo: function(memo[only])
    if len(args) == 2 and numbers[0] is not None and numbers[1] is None:
        first, second = numbers[0], args[1]
        return lambda memo: function(memo[first], second)
    plan = list(zip(numbers, args, strict=True))

    def step(memo: Memo) -> Any:
        return function(*[arg if number is None else memo[number] for number, arg in plan])

    return step


def _refused(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any) -> NoReturn:
        raise NotTraceableError(f"{name} of a field")

    return refuse


class Hole:
    """A value that depends on the row: *value* for this row, the result *number* for any other."""

    __slots__ = ("is_field", "may_be_none", "number", "trace", "value")

    def __init__(self, trace: Trace, number: int, value: Any) -> None:
        self.trace = trace
        self.number = number
        self.value = value
        self.is_field = False
        # Whether it is the result of a call or a filter, which may be none for another row.
        self.may_be_none = False

    def __bool__(self) -> bool:
        return bool(self.trace.answer(self.trace.derive(bool, bool, self)))

    def __contains__(self, item: Any) -> bool:
        found = self.trace.derive("in", operator.contains, self, item)
        return bool(self.trace.answer(found))

    def __iter__(self) -> Iterator["Hole"]:
        items = self.trace.derive(list, list, self)
        length = self.trace.answer(self.trace.derive(len, len, items))
        if length > _LONGEST_LOOP:
            raise NotTraceableError("a long loop over a field")
        return (self.trace.derive("item", operator.getitem, items, at) for at in range(length))

    def __getitem__(self, key: Any) -> "Hole":
        return self.trace.derive("item", operator.getitem, self, key)

    def __neg__(self) -> "Hole":
        return self.trace.derive("neg", operator.neg, self)

    def __pos__(self) -> "Hole":
        return self.trace.derive("pos", operator.pos, self)

    __hash__ = None  # type: ignore[assignment]
    __str__ = _refused("str()")
    __repr__ = _refused("repr()")
    __html__ = _refused("escape()")
    __format__ = _refused("format()")
    __bytes__ = _refused("bytes()")
    __int__ = _refused("int()")
    __float__ = _refused("float()")
    __index__ = _refused("index()")
    __call__ = _refused("a call")
    __next__ = _refused("next()")


def _binary(name: str, function: Callable[[Any, Any], Any]) -> None:
    def forward(self: Hole, other: Any) -> Hole:
        return self.trace.derive(name, function, self, other)

    def backward(self: Hole, other: Any) -> Hole:
        return self.trace.derive(name, function, other, self)

    setattr(Hole, f"__{name}__", forward)
    setattr(Hole, f"__r{name}__", backward)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _binary(_name, getattr(operator, _name))


def _comparison(name: str, function: Callable[[Any, Any], Any]) -> None:
    def compare(self: Hole, other: Any) -> Hole:
        return self.trace.derive(name, function, self, other)

    setattr(Hole, f"__{name}__", compare)


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _comparison(_name, getattr(operator, _name))


class Fragment:
    """Output that is kept instead of put out (a macro's, a ``set`` block's): text and holes in order.

    When it is put out, its pieces are, so that its constant text stays constant. Any other operation is
    recorded with one hole for the whole text. *safe* says that it is markup.
    """

    __slots__ = ("pieces", "safe", "trace", "wrap")

    def __init__(
        self,
        trace: Trace,
        pieces: Sequence["str | Hole"],
        wrap: Callable[[str], str],
        *,
        safe: bool,
    ) -> None:
        self.trace = trace
        self.pieces = pieces
        self.wrap = wrap
        self.safe = safe

    def joined(self) -> Hole:
        """Return the hole of the whole text."""
        wrap = self.wrap if self.safe else str
        join: Callable[..., str] = lambda *pieces: wrap("".join(pieces))  # noqa: E731 - a closure
        return self.trace.derive(("join", self.safe), join, *self.pieces)

    def __bool__(self) -> bool:
        return bool(self.joined())

    def __getattr__(self, name: str) -> Any:
        raise NotTraceableError(f"{name} of kept output")

    def __contains__(self, item: Any) -> bool:
        return item in self.joined()

    def __iter__(self) -> Iterator[Hole]:
        return iter(self.joined())

    def __eq__(self, other: object) -> Any:
        return self.joined() == other

    def __ne__(self, other: object) -> Any:
        return self.joined() != other

    __hash__ = None  # type: ignore[assignment]
    __str__ = _refused("str()")
    __repr__ = _refused("repr()")
    __html__ = _refused("escape()")
    __format__ = _refused("format()")
    __len__ = _refused("len()")
