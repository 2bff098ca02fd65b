"""Which events a handler may raise, and which requests it may send, by its source."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from diator.description.model import Raise, Send
from diator.description.names import Names, Types, in_order, member
from diator.description.naming import identity
from diator.description.source import Sources, code_of, undecorated
from diator.events.collector import collect
from diator.events.event import Event
from diator.handler import module_of, qualified_name
from diator.requests.request import Request, StreamRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from diator.description.model import Certainty, How
    from diator.description.source import Function

SENDING: dict[str, How] = {"send": "send", "stream": "stream", "post": "post"}
LISTS = {"events", "_events"}
"""What handlers call the list of their events: those of diator 0.1 had `_events`."""


class Reading(NamedTuple):
    """
    What the source of a handler says.

    Attributes:
        raises: The events that it may raise, the sure ones first.
        sends: The requests that it may send, the sure ones first.
        unknown: What it does not say, each a sentence.
        types: The types of these events and requests, by their ids.

    """

    raises: tuple[Raise, ...]
    sends: tuple[Send, ...]
    unknown: tuple[str, ...]
    types: dict[str, type]


class Reader:
    """
    Reads what handlers do, without running anything.

    Args:
        sources: Where the source is.
        implementation: Gives the class that is built for a type, None if unknown.

    """

    def __init__(
        self, sources: Sources, implementation: Callable[[type], type | None]
    ) -> None:
        self._sources = sources
        self._types = Types(sources, implementation)
        self._readings: dict[Any, Reading] = {}

    def read(self, handler: Any) -> Reading:
        """Give what the source of a handler, a class or a function, says."""
        if handler not in self._readings:
            walk = _Walk(handler, self._sources, self._types)
            self._readings[handler] = walk.reading()
        return self._readings[handler]

    def raised(self, handler: Any) -> list[tuple[type, Raise]]:
        """Give the events that a handler may raise, with their types."""
        reading = self.read(handler)
        return [(reading.types[each.event], each) for each in reading.raises]

    def sent(self, handler: Any, *, deep: bool = False) -> list[tuple[type, Send]]:
        """
        Give the requests that a handler may send, with their types.

        Args:
            handler: A class or a function.
            deep: Whether what it calls counts as well. If not, the source of those that
                send nothing themselves is not read.

        """
        if not deep and not _names(handler) & SENDING.keys():
            return []
        reading = self.read(handler)
        return [(reading.types[each.request], each) for each in reading.sends]


class _Walk:
    """The way from a handler through all that it calls, the nearest first."""

    def __init__(self, handler: Any, sources: Sources, types: Types) -> None:
        self._handler = handler
        self._sources = sources
        self._types = types
        self._raises: dict[str, Raise] = {}
        self._sends: dict[tuple[str, How], Send] = {}
        self._unknown: dict[str, None] = {}
        self._found: dict[str, type] = {}
        self._waiting: list[tuple[Any, type | None]] = []
        self._seen: set[tuple[Any, type | None]] = set()

    def reading(self) -> Reading:
        handler = self._handler
        if inspect.isclass(handler):
            self._go_on(member(handler, "handle"), handler)
        else:
            self._go_on(handler, None)
        for function, owner_of_function in self._waiting:
            self._visit(function, owner_of_function)
        return Reading(
            raises=_sure_first(self._raises.values()),
            sends=_sure_first(self._sends.values()),
            unknown=tuple(self._unknown),
            types=self._found,
        )

    def _go_on(self, function: Any, owner: type | None) -> None:
        function = undecorated(function)
        if not inspect.isfunction(function) or (function, owner) in self._seen:
            return
        if self._seen and not _is_of_application(function):
            return
        self._seen.add((function, owner))
        self._waiting.append((function, owner))

    def _visit(self, function: Any, owner: type | None) -> None:
        tree = self._sources.function(function)
        own = function is undecorated(self._handler) or owner is self._handler
        if tree is None:
            if own:
                self._unknown[
                    f"the source of {qualified_name(function)} cannot be read"
                ] = None
            return
        visit = _Visit(function, tree, Names(function, tree, owner, self._types))
        for event_type, node in visit.raised():
            self._raise(event_type, node, function, "seen" if own else "guess")
        for event_type, node in visit.made():
            self._raise(event_type, node, function, "guess")
        for how, request_type, node in visit.sent():
            self._send(request_type, how, node, function, "seen" if own else "guess")
        if own:
            for node in visit.unclear:
                place = self._sources.place_in(function, node)
                self._unknown[
                    f"{place.file}:{place.line}: only a run shows what "
                    f"`{ast.unparse(node)}` stands for"
                ] = None
        for called, owner_of_called in visit.called():
            self._go_on(called, owner_of_called)

    def _raise(
        self, event_type: type, node: ast.AST, function: Any, certainty: Certainty
    ) -> None:
        event = identity(event_type)
        known = self._raises.get(event)
        if known is None or (known.certainty, certainty) == ("guess", "seen"):
            self._found[event] = event_type
            self._raises[event] = Raise(
                event=event,
                certainty=certainty,
                via=qualified_name(function),
                place=self._sources.place_in(function, node),
            )

    def _send(
        self,
        request_type: type,
        how: How,
        node: ast.AST,
        function: Any,
        certainty: Certainty,
    ) -> None:
        request = identity(request_type)
        known = self._sends.get((request, how))
        if known is None or (known.certainty, certainty) == ("guess", "seen"):
            self._found[request] = request_type
            self._sends[request, how] = Send(
                request=request,
                how=how,
                certainty=certainty,
                via=qualified_name(function),
                place=self._sources.place_in(function, node),
            )


class _Visit:
    """What one function does."""

    def __init__(self, function: Any, tree: Function, names: Names) -> None:
        self._tree = tree
        self._names = names
        self._function = function
        self._followed: set[ast.AST] = set()
        self.unclear: list[ast.expr] = []

    def raised(self) -> Iterator[tuple[type, ast.AST]]:
        """Find the events that are plainly raised: appended, or collected."""
        for node in in_order(self._tree):
            for raised in self._raised_by(node):
                yield from self._typed(raised, (Event,))

    def made(self) -> Iterator[tuple[type, ast.AST]]:
        """Find the events that are made, whether they are raised or not."""
        for node in in_order(self._tree):
            if isinstance(node, ast.Call):
                made = self._names.named(node.func)
                if inspect.isclass(made) and issubclass(made, Event):
                    yield made, node

    def sent(self) -> Iterator[tuple[How, type, ast.AST]]:
        """Find the requests that are sent."""
        for node in in_order(self._tree):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in SENDING
                and node.args
            ):
                continue
            unclear = len(self.unclear)
            for found, where in self._typed(node.args[0], (Request, StreamRequest)):
                yield SENDING[node.func.attr], found, where
            if not self._is_mediator(node.func.value):
                # Other things send, too.
                del self.unclear[unclear:]

    def called(self) -> Iterator[tuple[Any, type | None]]:
        """Find the functions that are called, with the classes whose they are."""
        for node in in_order(self._tree):
            if isinstance(node, ast.Call):
                called, owner = self._names.called(node)
                if inspect.isclass(called):
                    yield vars(called).get("__init__"), called
                    yield vars(called).get("__post_init__"), called
                elif called is not None:
                    yield called, owner

    def _raised_by(self, node: ast.AST) -> list[ast.expr]:
        if isinstance(node, ast.Call):
            if self._names.named(node.func) is collect:
                return node.args
            if (
                isinstance(node.func, ast.Attribute)
                and node.func.attr in ("append", "extend", "insert")
                and self._is_list_of_events(node.func.value)
            ):
                return node.args[-1:]
        if isinstance(node, ast.AugAssign) and self._is_list_of_events(node.target):
            return [node.value]
        if isinstance(node, ast.Assign) and any(
            self._is_list_of_events(target) for target in node.targets
        ):
            return [node.value]
        return []

    def _is_list_of_events(self, node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Attribute)
            and node.attr in LISTS
            and isinstance(node.value, ast.Name)
            and node.value.id == self._names.self
        )

    def _is_mediator(self, node: ast.AST) -> bool:
        from diator.mediator import (  # noqa: PLC0415  # which asks this for its check
            IndependentMediator,
            Mediator,
        )

        found = self._names.class_of(node)
        return found is not None and issubclass(found, (Mediator, IndependentMediator))

    def _typed(
        self, node: ast.expr, bases: tuple[type, ...]
    ) -> Iterator[tuple[type, ast.AST]]:
        """Give the types of the messages that an expression holds."""
        if isinstance(node, ast.Starred):
            yield from self._typed(node.value, bases)
        elif isinstance(node, (ast.List, ast.Tuple)):
            for element in node.elts:
                yield from self._typed(element, bases)
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            yield from self._typed(node.elt, bases)
        elif isinstance(node, ast.IfExp):
            yield from self._typed(node.body, bases)
            yield from self._typed(node.orelse, bases)
        elif node not in self._followed and (held := self._names.held(node)) != [node]:
            # A name may have been set to something that is made of itself.
            self._followed.add(node)
            for value in held:
                yield from self._typed(value, bases)
            self._followed.discard(node)
        else:
            found = self._names.class_of(node)
            if found is None or not issubclass(found, bases) or is_marker(found):
                self.unclear.append(node)
            else:
                yield found, node


def is_marker(message_type: type) -> bool:
    """Tell whether a type is one of diator's own, which says nothing of a message."""
    return module_of(message_type).partition(".")[0] == "diator"


def _is_of_application(function: Any) -> bool:
    root = module_of(function).partition(".")[0]
    return (
        root not in sys.stdlib_module_names
        and root != "diator"
        and "site-packages" not in function.__code__.co_filename
    )


def _names(handler: Any) -> set[str]:
    """Give the names that a handler's own functions use."""
    functions = [handler]
    if inspect.isclass(handler):
        functions = [
            declared
            for ancestor in handler.__mro__
            for declared in vars(ancestor).values()
        ]
    codes = [code for code in map(code_of, functions) if code is not None]
    names: set[str] = set()
    for code in codes:
        names.update(code.co_names)
        codes += [const for const in code.co_consts if inspect.iscode(const)]
    return names


def _sure_first(found: Any) -> tuple[Any, ...]:
    return tuple(sorted(found, key=lambda each: each.certainty == "guess"))
