"""Check a request before anything else happens with it."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from abc import ABC, abstractmethod
from collections import OrderedDict, abc, defaultdict, deque
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from itertools import chain
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args, get_origin
from uuid import UUID

import msgspec

from diator.container.scope import current_scope
from diator.exceptions import (
    BindingError,
    ConfigurationError,
    InUseError,
    ValidationError,
)
from diator.handler import qualified_name
from diator.middlewares.base import Handle

Req = TypeVar("Req")
Checked = TypeVar("Checked", contravariant=True)  # noqa: PLC0105  # as elsewhere
Value = TypeVar("Value")
P = ParamSpec("P")

Finding = str | tuple[str, str]
"""What is wrong: a sentence, or the path to a field and a sentence."""

Findings = Finding | Iterable[Finding] | None
"""A finding, or several, or none."""

Verdict = Findings | Awaitable[Findings] | AsyncIterable[Finding]
"""What a validator answers: it may be async, and may `yield` its findings."""

Answer = TypeVar("Answer", bound=Verdict)


class Validator(Protocol[Checked]):
    """Checks requests of a type for what their annotations do not say."""

    def validate(self, request: Checked, /) -> Verdict:
        """Say what is wrong: `yield "sentence"` or `yield "field", "sentence"`."""


class ValidationMiddleware:
    """
    Refuse a request that breaks its own rules, with everything that is wrong with it.

    First, the request is checked against its annotations: each field of a dataclass, a
    `msgspec.Struct` or an attrs class holds what it is annotated with, within the
    bounds of an `Annotated[int, msgspec.Meta(gt=0)]`, and so do the fields of what it
    holds. Nothing is converted: "1" is no `int`, nor is True, and a tuple is no `list`.
    Left alone are fields whose annotation says nothing checkable (`Any`, a protocol, a
    generic class without fields, a name that only type checkers know), one-shot
    iterables, and what pydantic has checked.

    Then, if the annotations hold, the validators that are bound to the request's type
    or to a base of it are asked, in the order of binding. What they find is collected;
    what they raise passes as it is, for a `ValueError` may be a mere mistake in them.

    A refused request ends in one `diator.exceptions.ValidationError`. What annotations
    contribute to its findings names fields and what was expected, but no values.
    """

    def __init__(self) -> None:
        self._bound: list[tuple[type, _BoundValidator]] = []
        self._fields: _ByType[_Fields] = _ByType(lambda cls: _Fields(cls, self._fields))
        self._plans = _ByType(self._plan)

    def bind(
        self,
        request_type: type[Req],
        validator: type[Validator[Req]] | Callable[Concatenate[Req, ...], Verdict],
    ) -> None:
        """
        Have the requests of a type, and of those that derive from it, validated.

        Args:
            request_type: The type.
            validator: A class with a method `validate`, which the container builds for
                each request; or a function of the request, whose other parameters are
                injected by their types. Either may be async, and yields what is wrong,
                or returns it: a sentence, or a field's path and a sentence.

        Raises:
            BindingError: It is neither, or cannot be called with a request.
            InUseError: A request was validated already.

        """
        if not inspect.isclass(request_type):
            msg = f"{request_type!r} is not a type: bind validators to classes"
            raise BindingError(msg)
        if self._plans:
            msg = (
                f"{qualified_name(validator)} comes too late: a request was validated "
                "already; bind validators before the first send"
            )
            raise InUseError(msg)
        self._bound.append((request_type, _bound_validator(validator)))

    def validates(
        self, request_type: type[Req]
    ) -> Callable[
        [Callable[Concatenate[Req, P], Answer]],
        Callable[Concatenate[Req, P], Answer],
    ]:
        """
        Make the decorated function a validator of the requests of a type.

        It stays as it is, so that it can be called directly in a test.

        Args:
            request_type: As for `bind`.

        Raises:
            BindingError: As `bind` does.
            InUseError: As `bind` does.

        """

        def bind(
            validator: Callable[Concatenate[Req, P], Answer],
        ) -> Callable[Concatenate[Req, P], Answer]:
            self.bind(request_type, validator)
            return validator

        return bind

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Pass on a request that is valid.

        Raises:
            ValidationError: It is not.
            ConfigurationError: A field has bounds that msgspec cannot check.
            BindingError: A validator answered with something else than findings.

        """
        plan = self._plans[type(request)]
        try:
            if plan.hold is not None and not plan.hold(request):
                _refuse(request, plan.findings(request, ""))
        except RecursionError:
            finding = ("", "Nested too deeply, or in itself")
            raise ValidationError(request, [finding]) from None
        if plan.validators:
            await _ask(plan.validators, request)
        return await handle(request)

    def _plan(self, request_type: type) -> _Plan:
        fields = self._fields[request_type]
        validators = [
            validator
            for bound, validator in self._bound
            if issubclass(request_type, bound)
        ]
        return _Plan(
            fields.hold if fields.rules else None,
            fields.findings,
            tuple(dict.fromkeys(validators)),
        )


class _ByType(dict[Any, Value]):
    """What is worked out once for each type, or for each annotation."""

    def __init__(self, work_out: Callable[[Any], Value]) -> None:
        self._work_out = work_out

    def __missing__(self, key: Any) -> Value:
        value = self[key] = self._work_out(key)
        return value


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    hold: Callable[[Any], bool] | None
    findings: Callable[[Any, str], Iterator[tuple[str, str]]]
    validators: tuple[_BoundValidator, ...]


def _refuse(request: object, findings: Iterable[tuple[str, str]]) -> None:
    # Items of a set, or values of a mapping, may all be told of in the same words.
    distinct = list(dict.fromkeys(findings))
    if distinct:
        raise ValidationError(request, distinct)


# --- Validators -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _BoundValidator:
    validator: Any
    ask: Callable[[Any, Any], Awaitable[Any]] = dataclasses.field(compare=False)


def _bound_validator(validator: Any) -> _BoundValidator:
    is_class = inspect.isclass(validator)
    call = getattr(validator, "validate", None) if is_class else validator
    name = qualified_name(validator)
    if not callable(call):
        msg = (
            f"{name} is not a validator: bind a class with a method "
            "`validate(self, request)`, or a function of the request"
        )
        raise BindingError(msg)
    signature = inspect.signature(call)
    try:
        if is_class:
            signature.bind(None, None)
        else:
            signature.bind_partial(None)
    except TypeError as error:
        msg = f"{name} cannot validate: it is called with the request, but {error}"
        raise BindingError(msg) from error
    if is_class:
        return _BoundValidator(validator, _ask_built)
    is_injected = len(signature.parameters) > 1
    return _BoundValidator(validator, _ask_injected if is_injected else _ask_plain)


async def _ask_built(validator: type[Any], request: Any) -> Any:
    return (await current_scope().get(validator)).validate(request)


async def _ask_injected(validator: Callable[..., Any], request: Any) -> Any:
    return await current_scope().call(validator, request)


async def _ask_plain(validator: Callable[..., Any], request: Any) -> Any:
    return validator(request)


async def _ask(validators: Iterable[_BoundValidator], request: object) -> None:
    findings: list[tuple[str, str]] = []
    for bound in validators:
        verdict: Any = await bound.ask(bound.validator, request)
        if inspect.isawaitable(verdict):
            verdict = await verdict
        answers: list[Any]
        if hasattr(verdict, "__aiter__"):
            answers = [answer async for answer in verdict]
        elif isinstance(verdict, (str, tuple)) or not hasattr(verdict, "__iter__"):
            answers = [] if verdict is None else [verdict]
        else:
            answers = list(verdict)
        findings += [_finding(bound.validator, answer) for answer in answers]
    _refuse(request, findings)


def _finding(validator: Any, found: Any) -> tuple[str, str]:
    match found:
        case str():
            return "", found
        case (str(path), str(sentence)):
            return path, sentence
        case _:
            # Its type only, for its repr might show what is in the request.
            msg = (
                f"{qualified_name(validator)} answered with a {type(found).__name__}: "
                "a validator yields or returns what is wrong, as a sentence or as a "
                "(path, sentence)"
            )
            raise BindingError(msg)


# --- What the fields of a class are to hold -------------------------------------------


class _Fields:
    """
    The rules of a class's fields.

    Whether a request is fine is asked often, and answered quickly: msgspec checks in
    one call what it is strict about, and the bounds of all else; Python looks at the
    classes of all else. `msgspec.convert` alone would not do, for it trusts instances
    of a type, and takes tuples for lists and values for enums. What is wrong with a
    request is asked rarely; this answer counts.
    """

    def __init__(self, annotation: Any, known: _ByType[_Fields]) -> None:
        self.rules = list(_field_rules(annotation, known))
        mirrored = [
            (name, rule.bounds) for name, rule in self.rules if rule.bounds is not None
        ]
        self._mirror = msgspec.defstruct("Mirror", mirrored) if mirrored else None
        # A dictionary takes msgspec 60 % of the time that attributes take.
        is_in_dict = _is_in_dict(get_origin(annotation) or annotation, dict(mirrored))
        self._convert = _convert_dict if is_in_dict else _convert_attributes
        # Scalars are most fields, so they are looked at without a call for each.
        self._scalars = [
            (name, rule.kinds, rule.takes)
            for name, rule in self.rules
            if isinstance(rule, _Scalar) and not rule.is_strict
        ]
        self._others = [
            (name, rule.fits)
            for name, rule in self.rules
            if not isinstance(rule, _Scalar)
        ]

    def hold(self, instance: Any) -> bool:
        """Tell whether all is fine; False may also mean that it takes a closer look."""
        for name, kinds, takes in self._scalars:
            value = getattr(instance, name, None)
            if type(value) not in kinds and not takes(value):
                return False
        for name, fits in self._others:
            if not fits(getattr(instance, name, None)):
                return False
        if self._mirror is not None:
            try:
                self._convert(instance, self._mirror)
            except msgspec.ValidationError:
                return False
        return True

    def findings(self, instance: Any, path: str) -> Iterator[tuple[str, str]]:
        """Give all that is wrong, in the order of the fields."""
        for name, rule in self.rules:
            # A field with `init=False` may have been left without a value.
            if hasattr(instance, name):
                inner = f"{path}.{name}" if path else name
                yield from rule.findings(getattr(instance, name), inner)


def _convert_dict(instance: Any, mirror: type) -> None:
    msgspec.convert(instance.__dict__, mirror)


def _convert_attributes(instance: Any, mirror: type) -> None:
    msgspec.convert(instance, mirror, from_attributes=True)


def _is_in_dict(cls: Any, names: Iterable[str]) -> bool:
    """Tell whether instances keep the values of fields in their `__dict__`."""
    is_slotted = any(
        inspect.ismemberdescriptor(inspect.getattr_static(cls, name, None))
        for name in names
    )
    # The value of a field with `init=False` may be an attribute of the class.
    fields = getattr(cls, "__dataclass_fields__", {}).values()
    is_initialized = all(field.init for field in fields)
    return cls.__dictoffset__ != 0 and is_initialized and not is_slotted


def _field_rules(
    annotation: Any, known: _ByType[_Fields]
) -> Iterator[tuple[str, _Rule]]:
    cls = get_origin(annotation) or annotation
    arguments = _type_arguments(cls, get_args(annotation))
    for name in _field_names(cls):
        for owner in cls.__mro__:
            if name in inspect.get_annotations(owner):
                rule = _field_rule(name, owner, arguments.get(owner, {}), known)
                if rule is not None:
                    yield name, rule
                break


def _field_names(cls: Any) -> Sequence[str]:
    if hasattr(cls, "__pydantic_validator__"):
        return ()
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    if hasattr(cls, "__attrs_attrs__"):
        return [field.name for field in cls.__attrs_attrs__]
    if hasattr(cls, "__required_keys__"):
        return list(cls.__annotations__)
    is_tuple = tuple in cls.__mro__
    return getattr(cls, "_fields" if is_tuple else "__struct_fields__", ())


def _field_rule(
    name: str,
    owner: type,
    arguments: Mapping[Any, Any],
    known: _ByType[_Fields],
) -> _Rule | None:
    try:
        hint = _resolve(inspect.get_annotations(owner)[name], owner)
        return _rule(_substitute(hint, arguments), known)
    except ConfigurationError as error:
        msg = (
            f"{owner.__name__}.{name} cannot be checked: {error}; put the constraint "
            "on a type that can have it, or bind a validator instead"
        )
        raise ConfigurationError(msg) from error
    except (NameError, AttributeError, TypeError, SyntaxError, RecursionError):
        # A name that only type checkers know, an alias of itself, and the like.
        return None


def _resolve(annotation: Any, owner: type) -> Any:
    holder = type("Holder", (), {"__annotations__": {"field": annotation}})
    module = vars(sys.modules.get(owner.__module__, object))
    parameters = {each.__name__: each for each in getattr(owner, "__type_params__", ())}
    # Names of the module first: a field `date: date` must not hide what `date` means.
    hints = typing.get_type_hints(
        holder, dict(vars(owner)), {**module, **parameters}, include_extras=True
    )
    return hints["field"]


def _type_arguments(cls: Any, arguments: Sequence[Any]) -> dict[type, dict[Any, Any]]:
    """Tell what the type variables of a generic class, and of its bases, stand for."""
    parameters = getattr(cls, "__parameters__", ())
    is_variadic = _is_variadic(parameters)
    own = {} if is_variadic else dict(zip(parameters, arguments, strict=False))
    result = {cls: own}
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = get_origin(base) or base
        if inspect.isclass(origin):  # and not the function that `NamedTuple` is
            inner = [_substitute(argument, own) for argument in get_args(base)]
            result |= _type_arguments(origin, inner)
    return result


def _substitute(annotation: Any, arguments: Mapping[Any, Any]) -> Any:
    if isinstance(annotation, TypeVar):
        return arguments.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if not parameters or get_origin(annotation) is None or _is_variadic(parameters):
        return annotation
    return annotation[tuple(arguments.get(each, each) for each in parameters)]


def _is_variadic(annotations: Iterable[Any]) -> bool:
    return any(
        isinstance(each, typing.TypeVarTuple)
        or get_origin(each) is typing.Unpack
        or getattr(each, "__unpacked__", False)
        for each in annotations
    )


# --- Rules: what an annotation asks of a value ----------------------------------------


class _Rule(ABC):
    """
    What an annotation asks of a value.

    Attributes:
        name: What is expected.
        bounds: The type that msgspec checks a value against where `fits` is true; None
            if that says it all.
        is_strict: Whether msgspec checks all, so that there is no need of `fits`.

    """

    name: str
    bounds: Any = None
    is_strict = False

    @abstractmethod
    def takes(self, value: Any) -> bool:
        """Tell whether the value itself is of the right class."""

    @abstractmethod
    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        """Give what is wrong with a value that is of the right class."""

    def findings(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        """Give all that is wrong with a value."""
        if self.takes(value):
            yield from self.findings_inside(value, path)
        else:
            yield path, f"Expected `{self.name}`, got `{_name(value.__class__)}`"

    def fits(self, value: Any) -> bool:
        """Tell whether the value, and what is in it, is fine but for the bounds."""
        return not any(self.findings(value, ""))

    def all_fit(self, values: Iterable[Any]) -> bool:
        """Tell whether all of some values fit."""
        return all(map(self.fits, values))

    def holds(self, value: Any) -> bool:
        """Tell whether the value is fine; False may call for a closer look."""
        return self.fits(value) and not self.judge(value)

    @cached_property
    def judge(self) -> Callable[[Any], str | None]:
        """Give what msgspec has to say of a value."""
        return _judge(self.bounds)


def _judge(bounds: Any) -> Callable[[Any], str | None]:
    if bounds is None:
        return lambda _: None
    # In a Struct, because msgspec remembers what it worked out for those alone.
    mirror = msgspec.defstruct("Mirror", [("value", bounds)])

    def judge(value: Any) -> str | None:
        try:
            msgspec.convert({"value": value}, mirror)
        except msgspec.ValidationError as error:
            return str(error).rpartition(" - at `")[0]
        return None

    return judge


class _Scalar(_Rule):
    """
    A value that nothing is in, of one of some classes.

    Attributes:
        options: The classes.
        kinds: The classes of nearly all values.
        is_bounded: Whether there is more to it than the class.

    """

    def __init__(self, options: Iterable[type], bounds: Any = None) -> None:
        self.options = tuple(options)
        self.name = " | ".join(map(_name, self.options))
        self.kinds = frozenset(
            kind for option in self.options for kind in _WIDER.get(option, (option,))
        )
        self.is_strict = self.kinds <= _STRICT
        self.is_bounded = bounds is not None
        self.bounds = bounds
        if bounds is None and self.is_strict:
            self.bounds = typing.Union[self.options]  # noqa: UP007

    def takes(self, value: Any) -> bool:
        return any(
            isinstance(value, _WIDER.get(option, option))
            and not isinstance(value, _OTHERS.get(option, ()))
            for option in self.options
        )

    def fits(self, value: Any) -> bool:
        return type(value) in self.kinds or self.takes(value)

    def all_fit(self, values: Iterable[Any]) -> bool:
        return self.kinds.issuperset(map(type, values)) or all(map(self.takes, values))

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        if finding := self.judge(_plain(value)):
            yield path, finding


class _Literal(_Rule):
    """One of some values, of the very same type."""

    def __init__(self, options: Sequence[Any]) -> None:
        self.name = " | ".join(map(repr, options))
        self._kinds: set[Any] = {type(option) for option in options}
        self._options: set[Any] = {(type(option), option) for option in options}

    def takes(self, value: Any) -> bool:
        return type(value) in self._kinds

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        if (type(value), value) not in self._options:
            yield path, f"Expected `{self.name}`, got another"


class _Instance(_Rule):
    """An object of one of some classes, and what its own class asks of its fields."""

    def __init__(self, annotations: Sequence[Any], known: _ByType[_Fields]) -> None:
        self.annotations = {get_origin(each) or each: each for each in annotations}
        self._classes = tuple(self.annotations)
        self.name = " | ".join(map(_name, self.annotations))
        # A class may have fields of its own type, so they are looked up when needed.
        self._fields = _ByType(lambda cls: known[self.annotations.get(cls, cls)])

    def takes(self, value: Any) -> bool:
        return isinstance(value, self._classes)

    def fits(self, value: Any) -> bool:
        return self.takes(value) and self._fields[type(value)].hold(value)

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        return self._fields[type(value)].findings(value, path)


class _TypedDict(_Rule):
    """A dictionary with given keys."""

    def __init__(self, annotation: Any, known: _ByType[_Fields]) -> None:
        self._annotation = annotation
        self._class: Any = get_origin(annotation) or annotation
        self._known = known
        self.name = _name(self._class)

    def takes(self, value: Any) -> bool:
        return isinstance(value, dict)

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        for key, annotation in self._class.__annotations__.items():
            # The class itself does not see this where annotations are strings.
            is_optional = "NotRequired[" in str(annotation)
            required = key in self._class.__required_keys__ and not is_optional
            if required and key not in value:
                yield path, f"Expected a key `{key}`"
        instance = types.SimpleNamespace()
        instance.__dict__.update(value)
        yield from self._known[self._annotation].findings(instance, path)


class _Collection(_Rule):
    """Any number of items."""

    def __init__(self, cls: type, item: _Rule | None, metas: Sequence[Any]) -> None:
        self._class = cls
        self._item = item
        self._judge_length = _judge(_bounded(list, metas) if metas else None)
        self._kinds = {kind for kind in _KINDS if issubclass(kind, cls)}
        self.name = cls.__name__
        inner: Any = Any if item is None or item.bounds is None else item.bounds
        if metas or inner is not Any:
            self.bounds = _bounded(list.__class_getitem__(inner), metas)

    def takes(self, value: Any) -> bool:
        # A text is hardly meant where a sequence of texts is asked for.
        return isinstance(value, self._class) and not isinstance(value, _TEXTS)

    def fits(self, value: Any) -> bool:
        if type(value) not in self._kinds:
            return not any(self.findings(value, ""))
        if self._item is None or self._item.is_strict:
            return True
        return self._item.all_fit(value)

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        if not hasattr(value, "__len__"):
            # It may be gone through only once, which is for the handler to do.
            return
        if finding := self._judge_length(list(value)):
            yield path, finding
        if self._item is not None:
            for index, item in enumerate(value):
                place = "..." if isinstance(value, abc.Set) else index
                yield from self._item.findings(item, f"{path}[{place}]")


class _Tuple(_Rule):
    """A tuple of given items."""

    name = "tuple"

    def __init__(self, items: Sequence[_Rule | None]) -> None:
        self._items = items

    def takes(self, value: Any) -> bool:
        return isinstance(value, tuple)

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        if len(value) != len(self._items):
            yield path, f"Expected `tuple` of length {len(self._items)}"
            return
        for index, rule in enumerate(self._items):
            if rule is not None:
                yield from rule.findings(value[index], f"{path}[{index}]")


class _Mapping(_Rule):
    """Any number of keys and values."""

    def __init__(
        self, cls: type, key: _Rule | None, item: _Rule | None, metas: Sequence[Any]
    ) -> None:
        self._class = cls
        self._key = key
        self._item = item
        self._judge_length = _judge(_bounded(dict, metas) if metas else None)
        self.name = cls.__name__

    def takes(self, value: Any) -> bool:
        return isinstance(value, self._class)

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        if finding := self._judge_length(dict(value)):
            yield path, finding
        for key, item in value.items():
            if self._key is not None:
                for place, finding in self._key.findings(key, path):
                    yield place, f"{finding}, as a key"
            if self._item is not None:
                # Without the key, which may be a secret.
                yield from self._item.findings(item, f"{path}[...]")


class _Union(_Rule):
    """A value that one of several rules is fine with."""

    def __init__(self, name: str, members: Sequence[_Rule]) -> None:
        self.name = name
        self._members = members

    def takes(self, value: Any) -> bool:
        return any(member.takes(value) for member in self._members)

    def fits(self, value: Any) -> bool:
        return any(member.holds(value) for member in self._members)

    def findings_inside(self, value: Any, path: str) -> Iterator[tuple[str, str]]:
        takers = [member for member in self._members if member.takes(value)]
        findings = [taker.findings(value, path) for taker in takers]
        # Each is asked for its first finding, and none twice: what is deep inside a
        # value would be gone through again for each union that it is below.
        first = [next(each, None) for each in findings]
        if first[0] is not None and None not in first:
            yield from chain([first[0]], findings[0])


# --- From annotations to rules --------------------------------------------------------

_STRICT = {bool, int, str, types.NoneType}
"""What msgspec converts nothing else to."""

_SCALARS = _STRICT | {
    *(complex, float, Decimal, UUID, date, datetime, time, timedelta),
    *(bytearray, bytes, memoryview, msgspec.UnsetType),
}

_WIDER: dict[type, tuple[type, ...]] = {
    float: (float, int),
    complex: (complex, float, int),
}
"""What else is fine, says PEP 484, where a class is asked for."""

_OTHERS: dict[type, type] = {int: bool, float: bool, complex: bool, date: datetime}
"""What derives from a class, but is hardly meant where the class is asked for."""

_TEXTS = (str, bytes, bytearray, memoryview)

_KINDS = (list, tuple, set, frozenset, deque)

_COLLECTIONS = {
    *_KINDS,
    *(abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet),
    *(abc.Collection, abc.Iterable),
}

_TUPLES = (tuple, typing.Tuple)  # noqa: UP006  # without what is in them

_MAPPINGS = {dict, defaultdict, OrderedDict, abc.Mapping, abc.MutableMapping}

_QUALIFIERS = (
    *(typing.Final, typing.Required, typing.NotRequired),
    getattr(typing, "ReadOnly", typing.Final),
)

_BOUNDS = (
    *("gt", "ge", "lt", "le", "multiple_of"),
    *("pattern", "min_length", "max_length", "tz"),
)
"""The attributes of a `msgspec.Meta` that bound a value; others describe it."""


def _rule(annotation: Any, known: _ByType[_Fields]) -> _Rule | None:
    """Give the rule of an annotation, None if it asks for nothing checkable."""
    annotation, metas = _unwrap(annotation)
    origin = get_origin(annotation) or annotation
    inner = get_args(annotation)
    if origin in _MAPPINGS:
        key, item = (_rule(each, known) for each in inner or (Any, Any))
        return _Mapping(origin, key, item, metas)
    if _is_variadic(inner):
        annotation, inner = origin, ()
    is_any_tuple = annotation in _TUPLES or inner[1:] == (...,)
    if origin in _COLLECTIONS and (origin is not tuple or is_any_tuple):
        return _Collection(origin, _rule(inner[0], known) if inner else None, metas)
    if _is_scalar(origin):
        return _Scalar([origin], _bounded(origin, metas) if metas else None)
    if metas:
        msg = f"{metas[0]!r} does not go with {annotation!r}"
        raise ConfigurationError(msg)
    return _unbounded_rule(annotation, origin, inner, known)


def _unbounded_rule(
    annotation: Any, origin: Any, inner: Sequence[Any], known: _ByType[_Fields]
) -> _Rule | None:
    if origin is typing.Literal:
        return _Literal(inner)
    if origin in (typing.Union, types.UnionType):
        return _union([_rule(each, known) for each in inner], known)
    if origin is tuple:
        return _Tuple([_rule(each, known) for each in inner])
    if hasattr(origin, "__required_keys__"):
        return _TypedDict(annotation, known)
    return _Instance([annotation], known) if _is_checkable(annotation, origin) else None


def _is_checkable(annotation: Any, origin: Any) -> bool:
    if origin is object or getattr(origin, "_is_protocol", False):
        return False
    try:
        isinstance(None, origin)
        hash(annotation)
    except TypeError:
        return False
    # Without fields, it might say what a descriptor gives, as `Mapped[int]` does.
    return annotation is origin or bool(_field_names(origin))


def _union(members: Sequence[_Rule | None], known: _ByType[_Fields]) -> _Rule | None:
    rules = [member for member in members if member is not None]
    if len(rules) < len(members):
        return None
    name = " | ".join(rule.name for rule in rules)
    rules = _merge_instances(_merge_scalars(rules), known)
    return rules[0] if len(rules) == 1 else _Union(name, rules)


def _merge_scalars(rules: list[_Rule]) -> list[_Rule]:
    scalars = [rule for rule in rules if isinstance(rule, _Scalar)]
    options = [option for rule in scalars for option in rule.options]
    bounds = [rule.bounds for rule in scalars if rule.is_bounded]
    if scalars and not bounds:
        return [_Scalar(options), *(rule for rule in rules if rule not in scalars)]
    if [rule.name for rule in rules if rule.bounds not in bounds] == ["None"]:
        return [_Scalar(options, typing.Optional[bounds[0]])]  # noqa: UP045
    return rules


def _merge_instances(rules: list[_Rule], known: _ByType[_Fields]) -> list[_Rule]:
    # Else, a value would be looked into for each class that it is an instance of, and
    # what it holds for each of these times, and so on.
    instances = [rule for rule in rules if isinstance(rule, _Instance)]
    annotations = {
        origin: annotation
        for rule in instances
        for origin, annotation in rule.annotations.items()
    }
    if not instances or len(annotations) < len(instances):
        return rules
    others = [rule for rule in rules if rule not in instances]
    return [_Instance(list(annotations.values()), known), *others]


def _unwrap(annotation: Any) -> tuple[Any, list[msgspec.Meta]]:
    """Take an annotation out of what only says more about it, or names it."""
    metas: list[msgspec.Meta] = []
    while True:
        origin = get_origin(annotation)
        alias = annotation if origin is None else origin
        if origin is typing.Annotated:
            metas += [meta for meta in annotation.__metadata__ if _is_bounding(meta)]
            annotation = annotation.__origin__
        elif origin in _QUALIFIERS:
            [annotation] = get_args(annotation)
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            bound: Any = annotation.__bound__ or Any
            constraints = annotation.__constraints__
            annotation = typing.Union[constraints] if constraints else bound  # noqa: UP007
        elif hasattr(alias, "__value__"):  # of a `type` statement
            arguments = dict(
                zip(alias.__type_params__, get_args(annotation), strict=False)
            )
            annotation = _substitute(alias.__value__, arguments)
        else:
            return annotation, metas


def _is_bounding(meta: object) -> bool:
    return isinstance(meta, msgspec.Meta) and any(
        getattr(meta, bound) is not None for bound in _BOUNDS
    )


def _is_scalar(annotation: Any) -> bool:
    return annotation in _SCALARS or (
        isinstance(annotation, type) and issubclass(annotation, Enum)
    )


def _bounded(base: Any, metas: Sequence[Any]) -> Any:
    if not metas:
        return base
    bounds = typing.Annotated[(base, *metas)]
    try:
        msgspec.json.Decoder(bounds)
    except TypeError as error:
        raise ConfigurationError(str(error)) from error
    return bounds


def _plain(value: Any) -> Any:
    """Give what msgspec knows, for what derives from it."""
    match value:
        case float():
            return float(value)
        case datetime():
            # What can be asked of it is whether it has a time zone.
            return datetime.min.replace(tzinfo=value.tzinfo)
        case time():
            return time(tzinfo=value.tzinfo)
        case _:
            return value


def _name(cls: type) -> str:
    return "None" if cls is types.NoneType else cls.__name__
