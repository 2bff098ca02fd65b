"""Check a request before anything else happens with it."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections import abc
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Concatenate, ParamSpec, Protocol, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from diator.exceptions import (
    BindingError,
    ConfigurationError,
    ValidationError,
)
from diator.handler import qualified_name
from diator.middlewares.base import Handle
from diator.middlewares.roles import Injected
from diator.middlewares.rules import Rule, Rules

Req = TypeVar("Req")
Checked = TypeVar("Checked", contravariant=True)  # noqa: PLC0105  # as elsewhere
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

    First, msgspec checks the fields of a dataclass, a `msgspec.Struct` or an attrs
    class against their annotations, with bounds such as `Annotated[int,
    msgspec.Meta(gt=0)]`, and all that they hold. Nothing is converted. What counts is
    what a value is made of: an enum's value passes for the enum, a tuple for a list, a
    dictionary for an object with such fields. Objects in fields are built once more for
    it, `__post_init__` included. Left alone are fields of types that msgspec does not
    know, fields without a value, and whatever pydantic has checked.

    Then, if the annotations hold, the validators that are bound to the request's type
    or to a base of it are asked, in the order of binding. What they find is collected;
    what they raise passes as it is, for a `ValueError` may be a mere mistake in them.
    """

    def __init__(self) -> None:
        self._rules = Rules("validator", method="validate", verb="validate")
        self._plan = cache(self._make_plan)

    def bind(
        self,
        request_type: type[Req],
        validator: type[Validator[Req]]
        # Of the two, mypy knows by the first alone what a lambda takes.
        | Callable[[Req], Verdict]
        | Callable[Concatenate[Req, ...], Verdict],
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
        self._rules.bind(request_type, validator)

    def validates(
        self, request_type: type[Req]
    ) -> Callable[
        [Callable[Concatenate[Req, P], Answer]], Callable[Concatenate[Req, P], Answer]
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

    def injected(self, request_type: type) -> Iterable[Injected]:
        """Ask for what the validators need."""
        return self._rules.injected(request_type)

    def refuses(self, request_type: type) -> str | None:
        """Say which field has bounds that cannot be checked."""
        try:
            for name, hint in _hints(request_type).items():
                _schema(request_type, name, hint)
        except ConfigurationError as error:
            return str(error)
        return None

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Pass on a request that is valid.

        Raises:
            ValidationError: It is not.
            ConfigurationError: A field has bounds that msgspec cannot check.
            BindingError: A validator answered with something else than findings.

        """
        check, validators = self._plan(request.__class__)
        findings = check(request)
        if validators and not findings:
            findings = await _ask(validators, request)
        if findings:
            # Two values of a mapping may be told of in the same words.
            raise ValidationError(request, list(dict.fromkeys(findings)))
        return await handle(request)

    def _make_plan(self, request_type: type) -> tuple[_Check, list[Rule]]:
        return _make_check(request_type), self._rules.of(request_type)


# --- Validators -----------------------------------------------------------------------


async def _ask(validators: Iterable[Rule], request: Any) -> list[tuple[str, str]]:
    findings: list[tuple[str, str]] = []
    for validator in validators:
        verdict = await validator.ask(request)
        told: list[Any]
        if hasattr(verdict, "__aiter__"):
            told = [found async for found in verdict]
        elif isinstance(verdict, (str, tuple)) or not hasattr(verdict, "__iter__"):
            told = [] if verdict is None else [verdict]
        else:
            told = list(verdict)
        findings += [_finding(validator, found) for found in told]
    return findings


def _finding(validator: Rule, found: Any) -> tuple[str, str]:
    match found:
        case str():
            return "", found
        case (str(path), str(sentence)):
            return path, sentence
        case _:
            # Its type only, for its repr might show what is in the request.
            msg = (
                f"{validator.name} answered with a {type(found).__name__}: "
                "a validator yields or returns sentences, or (path, sentence)"
            )
            raise BindingError(msg)


# --- Annotations ----------------------------------------------------------------------

_Check = Callable[[object], list[tuple[str, str]]]

_NATIVE = (
    *(bytes, bytearray, memoryview, UUID, Decimal),
    *(datetime, date, time, timedelta),
)
"""What msgspec is to take as it is, instead of reading it from a text."""

_SOME_TIME = datetime(1, 1, 1)  # noqa: DTZ001  # the zone is that of a value

_STAND_INS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    *((str, str), (bytes, bytes), (int, int), (float, float), (Decimal, Decimal)),
    # The only bound of a moment is whether it has a time zone.
    (datetime, lambda value: _SOME_TIME.replace(tzinfo=value.tzinfo)),
    (date, lambda _: _SOME_TIME.date()),
    *((abc.Mapping, dict), (abc.Sequence, list), (abc.Set, list)),
)
"""What is checked in the place of an instance of a subclass."""

_UNRESOLVABLE = (NameError, AttributeError, TypeError, SyntaxError, RecursionError)


def _make_check(request_type: type) -> _Check:
    known = {
        name: (hint, schema)
        for name, hint in _hints(request_type).items()
        if (schema := _schema(request_type, name, hint))
    }
    fields = [(name, hint, UNSET) for name, (hint, _) in known.items()]
    mirror = msgspec.defstruct("Mirror", fields)
    # `convert` trusts instances of classes with fields, which a schema defines apart.
    # Without any, the request itself will do, in half of the time that a copy takes.
    is_plain = not any("$defs" in schema for _, schema in known.values())

    def check(request: object) -> list[tuple[str, str]]:
        if is_plain and _holds_as_it_is(request, mirror):
            return []
        values = {name: getattr(request, name, UNSET) for name in known}
        values = {name: each for name, each in values.items() if each is not UNSET}
        try:
            return _findings(values, mirror)
        except RecursionError:
            return [("", "Nested too deeply, or in itself")]

    return check if known else lambda _: []


def _schema(request_type: type, name: str, hint: Any) -> dict[str, Any]:
    """Give the schema of a field, empty if it is not for msgspec to check."""

    def refuse(custom_type: type) -> dict[str, Any]:
        raise TypeError(custom_type)

    try:
        return msgspec.json.schema(hint, schema_hook=refuse)
    except _UNRESOLVABLE as error:
        if "msgspec.Meta(" not in str(error):
            return {}
        msg = f"{qualified_name(request_type)}.{name} cannot be checked: {error}"
        raise ConfigurationError(msg) from error


def _holds_as_it_is(request: object, mirror: type) -> bool:
    try:
        msgspec.convert(request, mirror, from_attributes=True, builtin_types=_NATIVE)
    except (msgspec.ValidationError, UnicodeError):
        return False
    return True


def _findings(value: Any, hint: Any, path: str = "") -> list[tuple[str, str]]:
    plain = msgspec.to_builtins(
        value, builtin_types=(*_NATIVE, object), enc_hook=_stand_in
    )
    try:
        # Of what nothing stands in for, msgspec is to tell the class.
        known = value if type(plain) is object else plain
        msgspec.convert(known, hint, builtin_types=_NATIVE)
    except (msgspec.ValidationError, UnicodeError) as error:
        sentence, _, place = str(error).partition(" - at `")
        inside = place.rpartition("$")[2].rstrip("`")
        sentence += ", as a key" if place.startswith("key`") else ""
        first = ((path + inside).removeprefix("."), sentence)
        others = [
            finding
            for step, part, part_hint in _parts(value, hint)
            for finding in _findings(part, part_hint, path + step)
        ]
        # msgspec tells of one thing alone: of the value itself, or of one in it.
        is_inside = inside or isinstance(error, UnicodeError)
        return others if others and is_inside else [first, *others]
    return []


def _stand_in(value: object) -> Any:
    stand_ins = (make(value) for kind, make in _STAND_INS if isinstance(value, kind))
    return next(stand_ins, object())  # which fits `Any` alone


_COLLECTIONS: tuple[Any, ...] = (
    *(list, tuple, set, frozenset, dict),
    *(abc.Collection, abc.Sequence, abc.Set, abc.Mapping),
)


def _parts(value: Any, hint: Any) -> Iterator[tuple[str, Any, Any]]:
    """Give what a value is made of: where it is, what it is, and its annotation."""
    kind: Any = typing.get_origin(hint) or hint
    among = [
        each for each in typing.get_args(hint) if each not in (NoneType, UnsetType, ...)
    ]
    is_mapping = issubclass(type(value), abc.Mapping)
    if kind is Annotated or (kind in (typing.Union, UnionType) and len(among) == 1):
        yield from _parts(value, among[0])
    elif isinstance(hint, type) and _hints(hint):
        for name, field_hint in _hints(hint).items():
            part = value.get(name, UNSET) if is_mapping else getattr(value, name, UNSET)
            if part is not UNSET:
                yield f".{name}", part, field_hint
    elif kind in _COLLECTIONS and isinstance(value, kind) and type(value) is not str:
        if is_mapping and among:
            yield from (("[...]", part, among[-1]) for part in value.values())
        elif len(among) == 1:
            yield from ((f"[{i}]", part, among[0]) for i, part in enumerate(value))


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """Give the annotations of a class's fields, as far as they can be resolved."""
    if hasattr(cls, "__pydantic_validator__"):
        return {}
    fields: Any = getattr(cls, "__attrs_attrs__", ())
    if hasattr(cls, "__dataclass_fields__"):
        fields = dataclasses.fields(cls)
    names = getattr(cls, "__struct_fields__", [field.name for field in fields])
    hints: dict[str, Any] = {}
    for owner in reversed(cls.__mro__ if names else ()):
        module = getattr(sys.modules.get(owner.__module__), "__dict__", {})
        for name, annotation in inspect.get_annotations(owner).items():
            hints.pop(name, None)
            holder = type("Holder", (), {"__annotations__": {name: annotation}})
            with suppress(*_UNRESOLVABLE):
                # Names of the module first: a field `date: date` must not hide `date`.
                hints |= typing.get_type_hints(
                    holder, dict(vars(owner)), module, include_extras=True
                )
    return {name: hints[name] for name in names if name in hints}
