"""How Jinja is made to run a template on holes.

Jinja compiles a template to Python that calls a few functions for everything it does: to escape, to join,
to get an attribute, to call. The environment here compiles the same Python, but it imports functions of
the same names from this module. They record what is done with a `Hole`, and do as Jinja does with
anything else. Jinja's own loops, macros, inheritance and scoping run as they are.
"""

import builtins
import copy
import functools
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import jinja2
import markupsafe
from jinja2 import runtime
from jinja2.nodes import EvalContext
from jinja2.utils import Cycler, Joiner, Namespace

from mailer.compose.template.environment import Plain
from mailer.compose.template.nulls import is_null, refused
from mailer.compose.template.recording import Fragment, Hole, NotTraceableError, Trace, holds

# Filters whose result depends on their arguments alone, and is no iterator: that could be read only once.
_PURE_FILTERS: Final = frozenset(
    "abs capitalize center count d date datetime time number percent currency default "  # noqa: SIM905
    "dictsort e "
    "escape filesizeformat first float forceescape format indent int items join last length list "
    "lower mailer_as_text "
    "max min replace round safe sort string striptags sum title tojson trim truncate upper "
    "urlencode urlize wordcount wordwrap xmlattr attr".split()
)
_IMPURE_FILTERS: Final = frozenset({"random"})
# Filters that may give none, which is not put out; the others give text or numbers.
_MAY_BE_NONE: Final = frozenset({"attr", "d", "default", "first", "last", "max", "min"})
_ABOUT_BEING: Final = {"defined": True, "undefined": False}
_IMPURE_TESTS: Final = frozenset({"callable", "filter", "sameas", "test"})
_PURE_TYPES: Final[frozenset[type]] = frozenset(
    {str, markupsafe.Markup, bool, int, float, Decimal, dict, list, tuple}
    | {date, datetime, time, timedelta}
)
_PURE_METHODS: Final = frozenset(
    "upper lower title capitalize casefold swapcase strip lstrip rstrip split rsplit "  # noqa: SIM905
    "splitlines "
    "partition rpartition replace startswith endswith removeprefix removesuffix find rfind index "
    "count join zfill center ljust rjust isdigit isalpha isalnum isnumeric isupper islower isspace "
    "get items keys values copy strftime isoformat weekday isoweekday date time timetuple "
    "total_seconds is_integer".split()
)
_PURE_CALLS: Final = frozenset({range, dict})


def __getattr__(name: builtins.str) -> Any:
    """Give compiled templates the other names that they import from Jinja's runtime."""
    return getattr(runtime, name)


def escaped(value: Any) -> markupsafe.Markup:
    """As `markupsafe.escape`, in half the time for text with nothing to escape.

    Most values are such, and a row of a newsletter has about twenty.
    """
    if type(value) is builtins.str:
        # Five searches in C are as quick as one pattern, and twice as quick as a set of the characters.
        is_plain = "&" not in value and "<" not in value and ">" not in value
        if is_plain and '"' not in value and "'" not in value:
            return builtins.str.__new__(markupsafe.Markup, value)
    return markupsafe.escape(value)


def escape(value: Any) -> Any:
    """Escape as `markupsafe.escape` does; a `Fragment` that is markup is not escaped again."""
    if isinstance(value, Fragment):
        if value.safe:
            return value
        value = value.joined()
    if isinstance(value, Hole):
        if value.may_be_none:
            value = value.trace.derive("refused", refused, value)
        return value.trace.derive("escape", escaped, value)
    return markupsafe.escape(refused(value))


def str(value: Any) -> Any:  # noqa: A001 - the name by which templates call it
    """Make text as `str` does."""
    if isinstance(value, Hole):
        if value.may_be_none:
            value = value.trace.derive("refused", refused, value)
        return value.trace.derive("str", builtins.str, value)
    return value if isinstance(value, Fragment) else builtins.str(refused(value))


def Markup(value: Any) -> Any:  # noqa: N802 - the name by which templates call it
    """Mark as safe, as `markupsafe.Markup` does."""
    if isinstance(value, Fragment):
        return Fragment(value.trace, value.pieces, markupsafe.Markup, safe=True)
    if isinstance(value, Hole):
        return value.trace.derive("markup", markupsafe.Markup, value)
    return markupsafe.Markup(value)  # noqa: S704 - the template says so


def concat(pieces: Iterable[Any]) -> Any:
    """Join output as Jinja does; output with holes in it becomes a `Fragment`."""
    flat = flattened(pieces)
    trace = next((piece.trace for piece in flat if isinstance(piece, Hole)), None)
    if trace is None:
        return "".join(flat)
    return Fragment(trace, flat, markupsafe.Markup, safe=False)


def flattened(pieces: Iterable[Any]) -> list[Any]:
    """Return output as text and holes: each fragment is replaced by its pieces."""
    flat: list[Any] = []
    for piece in pieces:
        if isinstance(piece, Fragment):
            flat += piece.pieces
        else:
            flat.append(piece)
    return flat


def markup_join(values: Iterable[Any]) -> Any:
    """The operator ``~`` where output is escaped."""
    return _join("markup_join", runtime.markup_join, list(values))


def str_join(values: Iterable[Any]) -> Any:
    """The operator ``~`` where output is not escaped."""
    return _join("str_join", runtime.str_join, list(values))


def _join(name: builtins.str, function: Callable[..., Any], values: list[Any]) -> Any:
    trace = trace_of(values)
    if trace is None:
        return function(values)
    return trace.derive(name, lambda *items: function(items), *values)


def trace_of(values: Any) -> Trace | None:
    """Return the trace of the first hole in *values*, at any depth."""
    if isinstance(values, Hole | Fragment):
        return values.trace
    if isinstance(values, dict):
        values = values.values()
    if isinstance(values, list | tuple | type({}.values())):
        return next(filter(None, map(trace_of, values)), None)
    if isinstance(values, slice):
        return trace_of([values.start, values.stop, values.step])
    return None


class Macro(runtime.Macro):
    """A macro whose output may be a `Fragment`."""

    def _invoke(self, arguments: list[Any], autoescape: bool) -> Any:  # noqa: FBT001 - Jinja's
        output = self._func(*arguments)
        return Markup(output) if autoescape else output


class _Block(runtime.BlockReference):
    """A parent's block, for ``super()``, whose output may be a `Fragment`."""

    @property
    def super(self) -> Any:
        parent = super().super
        if isinstance(parent, runtime.BlockReference):
            return _Block(parent.name, parent._context, parent._stack, parent._depth)  # noqa: SLF001
        return parent

    def __call__(self) -> Any:
        output = concat(self._stack[self._depth](self._context))
        return Markup(output) if self._context.eval_ctx.autoescape else output


class _Context(runtime.Context):
    """A context that calls nothing whose result could differ for equal arguments."""

    def super(self, name: builtins.str, current: Any) -> Any:
        """Return the parent's block."""
        parent = super().super(name, current)
        if isinstance(parent, runtime.BlockReference):
            return _Block(parent.name, parent._context, parent._stack, parent._depth)  # noqa: SLF001
        return parent

    def call(self, function: Any, /, *args: Any, **options: Any) -> Any:
        """Call *function* as Jinja does, record the call, or refuse it."""
        if not isinstance(function, Hole | Fragment) and _is_own(function):
            return super().call(function, *args, **options)
        options.pop("_loop_vars", None)
        options.pop("_block_vars", None)
        trace = trace_of([function, *args, *options.values()])
        if trace is None:
            _check_pure(function)
            return function(*args, **options)
        hole = _derived(trace, "call", _call_pure, (function, *args), options)
        hole.may_be_none = True
        return hole


# Jinja's own objects, which keep their state within one run of a template: they may be called.
_OWN: Final = (runtime.Macro, runtime.BlockReference, runtime.LoopContext, Joiner)
_OWN_METHODS: Final = (Cycler, runtime.LoopContext)


def _is_own(function: Any) -> bool:
    if isinstance(function, types.MethodType):
        return isinstance(function.__self__, _OWN_METHODS)
    return isinstance(function, _OWN) or function in {Cycler, Joiner, Namespace}


def _check_pure(function: Any) -> None:
    if isinstance(function, type):
        pure = function in _PURE_CALLS
    elif isinstance(function, types.BuiltinMethodType | types.MethodType):
        pure = type(function.__self__) in _PURE_TYPES and function.__name__ in _PURE_METHODS
    else:
        pure = False
    if not pure:
        raise NotTraceableError("a call of a function that may not be pure")


def _call_pure(function: Any, *args: Any, **options: Any) -> Any:
    _check_pure(function)
    return function(*args, **options)


def _derived(
    trace: Trace,
    operation: builtins.str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    options: Mapping[builtins.str, Any],
) -> Hole:
    """Record a call that may have keyword arguments."""
    names = tuple(options)
    if not names:
        return trace.derive(operation, function, *args)
    count = len(args)

    def call(*values: Any) -> Any:
        return function(*values[:count], **dict(zip(names, values[count:], strict=True)))

    return trace.derive((operation, count, names), call, *args, *options.values())


def _traced(kind: builtins.str, name: builtins.str, function: Any) -> Any:
    """Return a filter or test that records its use on holes."""
    pure = name in _PURE_FILTERS if kind == "filter" else name not in _IMPURE_TESTS
    passes = getattr(function, "jinja_pass_arg", None) is not None

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if name in _ABOUT_BEING and len(args) == 1 and _has_value(args[0]):
            # No guard: rows with other fields, or with other nulls, have recordings of their own.
            return _ABOUT_BEING[name]
        trace = trace_of([*args, *options.values()])
        if trace is None:
            if name in _IMPURE_FILTERS:
                raise NotTraceableError(f"the filter {name}")
            return function(*args, **options)
        if not pure:
            raise NotTraceableError(f"the {kind} {name} of a field")
        if not passes:
            hole = _derived(trace, f"{kind} {name}", function, args, options)
            hole.may_be_none = name in _MAY_BE_NONE
            return hole
        first = copy.copy(args[0])
        if not isinstance(first, EvalContext | jinja2.Environment):
            raise NotTraceableError(f"the {kind} {name} of a field")
        escaped = getattr(first, "autoescape", None)
        # A copy: an {% autoescape %} block changes the context that it was called with.
        bound = functools.partial(function, first if isinstance(first, EvalContext) else args[0])
        return _derived(trace, f"{kind} {name} {escaped is True}", bound, args[1:], options)

    return call


def _has_value(value: Any) -> bool:
    return isinstance(value, Hole) and value.is_field and not is_null(value.value)


class Tracing(Plain):
    """The environment that runs templates on holes."""

    context_class = _Context
    runtime = f"from {__name__} import str, "
    concat = staticmethod(concat)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tests = {name: _traced("test", name, test) for name, test in self.tests.items()}

    def trace_filters(self) -> None:
        """Record the use of the filters that are there now; to be called once, after set-up."""
        for name, function in list(self.filters.items()):
            self.filters[name] = _traced("filter", name, function)

    def getattr(self, obj: Any, attribute: builtins.str) -> Any:
        """Get an attribute or item, of a hole as a step."""
        if isinstance(obj, Hole | Fragment):
            return obj.trace.derive("getattr", super().getattr, obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Get an item or attribute, of a hole or by a hole as a step."""
        trace = trace_of([obj, argument])
        if trace is not None:
            return trace.derive("getitem", super().getitem, obj, argument)
        return super().getitem(obj, argument)


def record(
    templates: Mapping[builtins.str, jinja2.Template],
    constants: Mapping[builtins.str, Any],
    variables: Mapping[builtins.str, Any],
) -> tuple[Trace, dict[builtins.str, list[builtins.str | Hole]]]:
    """Run *templates* on a row's *variables* as holes; return the trace and each one's output.

    Raises whatever the run raises: `NotTraceableError`, or what the template would raise anyway.
    """
    trace = Trace(variables)
    context = {**constants, **trace.fields}
    outputs: dict[builtins.str, list[builtins.str | Hole]] = {}
    for name, template in templates.items():
        outputs[name] = flattened(template.root_render_func(template.new_context(dict(context))))
    for output in outputs.values():
        if not all(isinstance(piece, builtins.str | Hole) for piece in output):
            raise NotTraceableError("output that is neither text nor a field")
    return trace, outputs


__all__ = ["Tracing", "holds", "record"]
