"""What the adapter to lagom refuses, and what clones of a container keep."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import lagom
import pytest

from diator import Mediator, collect
from diator.container.lagom import LagomContainer
from diator.container.scope import current_scope
from diator.exceptions import (
    BindingError,
    ConfigurationError,
    NoSendError,
    UnresolvableError,
    WiringError,
)
from diator.middlewares.base import Handle
from tests.unit.fakes import Do, Happened


class Session:
    """Opened and closed with each send."""


class Late:
    """Is asked for too late."""


class Repository:
    def __init__(self, session: Session) -> None:
        self.session = session


class Numbered:
    def __init__(self, session: Session, /) -> None: ...


async def open_session() -> AsyncGenerator[Session]:
    yield Session()


def scoped_container() -> LagomContainer:
    container = LagomContainer()
    container.scoped(Session, open_session)
    return container


class TestLimits:
    def test_second_adapter(self):
        """A lagom container has one adapter, which `of` gives."""
        container = lagom.Container()
        adapter = LagomContainer(container)

        with pytest.raises(ConfigurationError, match=r"LagomContainer\.of"):
            LagomContainer(container)
        assert LagomContainer.of(container) is adapter

    def test_scoped_text(self):
        """What is not told from others by its type cannot be scoped."""
        with pytest.raises(BindingError, match="class of your own"):
            LagomContainer().scoped(str, open_session)

    def test_explicit_container(self):
        """A container that wants all to be registered builds nothing else."""
        with pytest.raises(UnresolvableError, match="nothing says how to build"):
            LagomContainer(lagom.ExplicitContainer()).check(Repository)

    def test_positional_only_of_class(self):
        """Arguments are passed by name."""
        with pytest.raises(UnresolvableError, match="positional-only"):
            scoped_container().check(Numbered)

    def test_positional_only_of_function(self):
        """Those of functions, too."""
        mediator = Mediator(container=scoped_container())

        @mediator.handles(Do)
        async def handle(request: Do, session: Session, /) -> None: ...

        with pytest.raises(WiringError) as caught:
            mediator.check()
        assert "positional-only" in str(caught.value.exceptions[0])

    def test_unreadable_function(self):
        """A name that only type checkers know is told of at the first send."""
        mediator = Mediator()

        async def handle(request: Do, other: Missing) -> None: ...  # noqa: F821  # it is the point

        mediator.handles(Do)(handle)
        with pytest.raises(WiringError) as caught:
            mediator.check()
        assert "Missing" in str(caught.value.exceptions[0])

    async def test_names_for_type_checkers(self):
        """What is not injected may be annotated with names for type checkers alone."""
        mediator = Mediator(container=scoped_container())

        async def handle(request: Missing, session: Session) -> Missing:  # noqa: F821  # it is the point
            return session

        mediator.handles(Do)(handle)
        assert isinstance(await mediator.send(Do()), Session)

    async def test_annotated_parameter(self):
        """What an annotation says besides the type does not matter."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do, session: Annotated[Session, "of today"]) -> Any:
            return session

        assert isinstance(await mediator.send(Do()), Session)

    async def test_middleware_by_function(self):
        """A middleware lasts, and cannot have what ends with a send by a detour."""
        container = scoped_container()
        container[Repository] = lambda c: Repository(c[Session])
        mediator = Mediator(container=container)

        class Keeping:
            def __init__(self, repository: Repository) -> None: ...

            async def __call__(self, request: Any, handle: Handle) -> Any: ...

        @mediator.handles(Do)
        async def handle(request: Do) -> None: ...

        mediator.use(Keeping)
        with pytest.raises(UnresolvableError, match="opened and closed"):
            await mediator.send(Do())


class TestClones:
    async def test_inherits_scoped(self):
        """A clone opens what its original opens."""
        clone = scoped_container().container.clone()
        mediator = Mediator(container=clone)

        @mediator.handles(Do)
        async def handle(request: Do, repository: Repository) -> Any:
            return repository.session

        assert isinstance(await mediator.send(Do()), Session)

    async def test_override_in_clone(self):
        """What a clone registers anew is its own."""
        clone = scoped_container().container.clone()
        fake = Session()
        clone[Session] = fake
        mediator = Mediator(container=clone)

        @mediator.handles(Do)
        async def handle(request: Do, session: Session) -> Any:
            return session

        assert await mediator.send(Do()) is fake


class TestClosing:
    async def test_asked_while_closing(self):
        """Nothing is opened any more for a send that is being closed."""
        mediator = Mediator()
        asked: list[type[Exception]] = []

        async def open_late() -> AsyncGenerator[Late]:
            yield Late()

        async def open_asking() -> AsyncGenerator[Session]:

            yield Session()
            try:
                await current_scope().get(Late)
            except NoSendError as error:
                asked.append(type(error))

        mediator.container.scoped(Session, open_asking)
        mediator.container.scoped(Late, open_late)

        @mediator.handles(Do)
        async def handle(request: Do, session: Session) -> None:
            collect(Happened("it"))

        await mediator.send(Do())
        assert asked == [NoSendError]
