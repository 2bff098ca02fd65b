"""A function gets what its parameters ask for by their types."""

from __future__ import annotations

from typing import Annotated

import pytest

from diator.container.injection import (
    all_at_once,
    argument_factories,
    injected_parameters,
    needed_types,
)
from diator.container.protocol import Scoped
from diator.exceptions import UnresolvableError


class Clock:
    pass


class Session:
    pass


class Unknown:
    pass


class Known:
    """
    A container that knows some types.

    Args:
        plain: The types that it builds by calling them.
        scoped: The types that it builds from what it is given.
        registered: The types that it was told of, besides those that are scoped.

    """

    def __init__(self, *plain, scoped=(), registered=()):
        self.plain = plain
        self.scoped = scoped
        self.registered = registered

    def check(self, dependency, /):
        if dependency not in (*self.plain, *self.scoped):
            msg = f"nothing says how to build {dependency.__name__}"
            raise UnresolvableError(msg)

    def knows(self, dependency, /):
        return dependency in (*self.registered, *self.scoped)

    def factory(self, dependency, /):
        self.check(dependency)
        if dependency in self.plain:
            return dependency

        async def build(resources):
            return resources[dependency]

        return Scoped(build)

    def scope(self):
        raise NotImplementedError


def parameters(function, *, given=0, registered=()):
    container = Known(Clock, Session, registered=registered)
    return injected_parameters(function, container.check, container.knows, given=given)


class TestInjectedParameters:
    def test_by_type(self):
        """Each parameter is injected by the type of its annotation."""

        def function(clock: Clock, session: Session): ...

        assert parameters(function) == {"clock": Clock, "session": Session}

    def test_order(self):
        """They are injected in the order of the signature."""

        def function(session: Session, clock: Clock, *, other: Session): ...

        assert list(parameters(function)) == ["session", "clock", "other"]

    def test_given(self):
        """What is given is not injected, and needs no annotation."""

        def function(message, handle, clock: Clock): ...

        assert parameters(function, given=2) == {"clock": Clock}

    def test_more_given(self):
        """A function may take less than it is given."""

        def function(message): ...

        assert parameters(function, given=2) == {}

    def test_default(self):
        """A default gives way to what is registered, and only to that."""

        def function(
            clock: Clock = None,
            session: Session = None,
            size: int = 3,
            unannotated=4,
            unreadable: DoesNotExist = 5,  # noqa: F821  # it is the point
        ): ...

        assert parameters(function, registered=[Clock]) == {"clock": Clock}

    def test_registered_and_unresolvable(self):
        """What is registered and cannot be built is told of, default or not."""

        def function(unknown: Unknown = None): ...

        with pytest.raises(UnresolvableError, match=r"function.*'unknown'.*Unknown"):
            parameters(function, registered=[Unknown])

    def test_variadic(self):
        """`*args` and `**kwargs` stay empty."""

        def function(*args: Clock, clock: Clock, **kwargs: Unknown): ...

        assert parameters(function) == {"clock": Clock}

    def test_method(self):
        """The parameters of a method are those behind `self`."""

        class Transactions:
            def begin(self, clock: Clock): ...

        assert parameters(Transactions().begin) == {"clock": Clock}

    def test_callable_object(self):
        """The parameters of a callable object are those of its `__call__`."""

        class Begin:
            def __call__(self, clock: Clock): ...

        assert parameters(Begin()) == {"clock": Clock}

    def test_unresolvable(self):
        """What cannot be built is told with the function and the parameter."""

        def function(clock: Clock, *, unknown: Unknown): ...

        with pytest.raises(
            UnresolvableError, match=r"function cannot be called.*'unknown'.*Unknown"
        ):
            parameters(function)

    def test_several_unresolvable(self):
        """All that cannot be built are told, each as a problem of its own."""

        def function(unknown: Unknown, clock: Clock, bare, default=1): ...

        with pytest.raises(UnresolvableError) as caught:
            parameters(function)

        first, second = caught.value.problems
        assert "function cannot be called: its parameter 'unknown': " in first
        assert "function cannot be called: its parameter 'bare': " in second
        assert str(caught.value) == f"{first}\n{second}"

    def test_no_annotation(self):
        """So is a parameter whose type is not told."""

        def function(thing): ...

        with pytest.raises(UnresolvableError, match=r"function.*'thing'.*annotation"):
            parameters(function)

    def test_positional_only(self):
        """So is one that cannot be passed by name."""

        def function(clock: Clock, /): ...

        with pytest.raises(UnresolvableError, match=r"function.*'clock'.*positional"):
            parameters(function)

    def test_unreadable(self):
        """A type that is not there when the program runs is told."""

        def function(clock: DoesNotExist): ...  # noqa: F821  # it is the point

        with pytest.raises(
            UnresolvableError, match=r"function .*'clock'.*DoesNotExist"
        ):
            parameters(function)

    def test_annotated(self):
        """What is noted beside a type does not matter."""

        def function(clock: Annotated[Clock, "the time"]): ...

        assert parameters(function) == {"clock": Clock}


def arguments(function, container):
    return all_at_once(argument_factories(function, container, given=0))


class TestNeededTypes:
    def test_as_far_as_told(self):
        """A parameter without a type says nothing of the others."""

        class Partly:
            def __init__(self, clock: Clock, name, session: Session | None) -> None: ...

        assert needed_types(Partly) == {Clock, Session}

    def test_not_told(self):
        """Of what has no signature nothing is known."""
        assert needed_types(dict) == set()


class TestArguments:
    def test_plain(self):
        """Without anything scoped, the arguments are built with a plain call."""

        def function(clock: Clock, size: int = 3): ...

        build = arguments(function, Known(Clock))
        first, second = build(), build()

        assert list(first) == ["clock"]
        assert isinstance(first["clock"], Clock)
        assert first["clock"] is not second["clock"]

    def test_nothing(self):
        """A function without parameters gets none."""
        assert arguments(lambda: None, Known())() == {}

    async def test_scoped(self):
        """With something scoped, they are built from what is open in the send."""

        def function(clock: Clock, session: Session): ...

        session = Session()

        factory = arguments(function, Known(Clock, scoped=[Session]))
        built = await factory.build({Session: session})

        assert list(built) == ["clock", "session"]
        assert isinstance(built["clock"], Clock)
        assert built["session"] is session

    def test_unresolvable(self):
        """What cannot be built is told when the function is wired."""

        def function(unknown: Unknown): ...

        with pytest.raises(UnresolvableError, match="'unknown'"):
            arguments(function, Known(Clock))
