"""What every container has to do, each as far as it says that it can."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import dishka
import lagom
import punq
import pytest
import rodi
import svcs
import wireup
from dependency_injector import containers, providers

from diator import (
    DomainEvent,
    EventHandler,
    Mediator,
    Request,
    RequestHandler,
    collect,
)
from diator.container.dependency_injector import DependencyInjectorContainer
from diator.container.dishka import DishkaContainer
from diator.container.lagom import LagomContainer
from diator.container.protocol import Container, Scoped
from diator.container.punq import PunqContainer
from diator.container.rodi import RodiContainer
from diator.container.scope import current_scope
from diator.container.svcs import SvcsContainer
from diator.container.wireup import WireupContainer
from diator.exceptions import ConfigurationError, UnresolvableError, WiringError
from diator.testing.container import overriding
from diator.testing.harness import Harness


class Engine:
    """Lasts as long as the container."""


class Ledger(list[Any]):
    """What was opened and closed, in its order."""


class Session:
    """Belongs to one send, where the container knows of sends."""

    def __init__(self, engine: Engine):
        self.engine = engine


class Repository:
    """Built anew for whoever asks for it."""

    def __init__(self, session: Session):
        self.session = session


class Unknown(ABC):
    """Is registered nowhere, and cannot be built."""

    @abstractmethod
    def answer(self): ...


class Post:
    """The mediator, which is made after its container."""

    mediator: Mediator


@dataclass(frozen=True)
class Ask(Request[Any]):
    pass


@dataclass(frozen=True)
class AskAgain(Request[Any]):
    pass


@dataclass(frozen=True)
class Happened(DomainEvent):
    pass


class Handler(RequestHandler[Ask, Any]):
    def __init__(self, repository: Repository, engine: Engine):
        self.repository = repository
        self.engine = engine

    async def handle(self, request):
        return self


class NestedHandler(RequestHandler[Ask, Any]):
    def __init__(self, mediator: Mediator, session: Session):
        self.mediator = mediator
        self.session = session

    async def handle(self, request):
        return [self.session, await self.mediator.send(AskAgain())]


class OptionalHandler(RequestHandler[Ask, Any]):
    def __init__(
        self,
        must: Engine | None,
        may: Engine | None = None,
        ledger: Ledger | None = None,
        unknown: Unknown | None = None,
    ):
        self.must = must
        self.may = may
        self.ledger = ledger
        self.unknown = unknown

    async def handle(self, request):
        return self


class Unneeding(RequestHandler[AskAgain, None]):
    async def handle(self, request): ...


class Listener(EventHandler[Happened]):
    def __init__(self, session: Session, ledger: Ledger):
        self.session = session
        self.ledger = ledger

    async def handle(self, event):
        self.ledger.append(self.session)


class Middleware:
    def __init__(self, engine: Engine):
        self.engine = engine

    async def __call__(self, request, handle):
        return self.engine, await handle(request)


# What is registered where a container builds nothing else.
HANDLERS = (Handler, NestedHandler, Unneeding, Listener)


@dataclass
class Setup:
    """
    A container with `Engine`, `Session`, `Repository`, `Ledger` and `Mediator` in it.

    Attributes:
        make: Registers them.
        shares: Whether the session is one in each send.
        closes: Whether it is closed at the end of the send.
        tells: Whether it is told of an exception then.
        registered: Whether handlers are to be registered as well.
        overrides: Whether what it builds sees what a test overrides.

    """

    make: Callable[[Ledger, Post], Container]
    shares: bool = True
    closes: bool = True
    tells: bool = True
    registered: bool = False
    overrides: bool = True


def of_lagom(ledger: Ledger, post: Post):
    container = LagomContainer()
    container[Engine] = lagom.Singleton(Engine)
    container[Ledger] = ledger
    container[Mediator] = lambda: post.mediator
    container.scoped(Session, opener(ledger))
    return container


def of_dishka(ledger: Ledger, post: Post):
    # It hands the exception over, where others raise it.
    async def open_session(engine: Engine) -> AsyncIterator[Session]:
        ledger.append("opened")
        error = yield Session(engine)
        if error is not None:
            ledger.append(repr(error))
        ledger.append("closed")

    provider = dishka.Provider(scope=dishka.Scope.REQUEST)
    for each in (Engine, Middleware):
        provider.provide(each, scope=dishka.Scope.APP)
    provider.provide(lambda: ledger, provides=Ledger)
    provider.provide(lambda: post.mediator, provides=Mediator)
    provider.provide(open_session)
    provider.provide(Repository, cache=False)
    for handler in HANDLERS:
        provider.provide(handler, cache=False)
    return DishkaContainer(dishka.make_async_container(provider))


def of_punq(ledger: Ledger, post: Post):
    container = punq.Container()
    container.register(Engine, scope=punq.Scope.singleton)
    container.register(Ledger, instance=ledger)
    container.register(Mediator, lambda: post.mediator)
    container.register(Session)
    container.register(Repository)
    return PunqContainer(container)


def of_svcs(ledger: Ledger, post: Post, **told: Any):
    open_session = asynccontextmanager(opener(ledger))

    async def open_with(container: svcs.Container) -> AsyncIterator[Session]:
        async with open_session(await container.aget(Engine)) as session:
            yield session

    registry = svcs.Registry()
    registry.register_value(Engine, Engine())
    registry.register_value(Ledger, ledger)
    registry.register_factory(Mediator, lambda: post.mediator)
    registry.register_factory(Session, open_with, **told)
    return SvcsContainer(registry)


def of_wireup(ledger: Ledger, post: Post):
    @wireup.injectable
    def the_ledger() -> Ledger:
        return ledger

    @wireup.injectable
    def the_mediator() -> Mediator:
        return post.mediator

    return WireupContainer(
        wireup.create_async_container(
            injectables=[
                the_ledger,
                the_mediator,
                wireup.injectable(Engine),
                wireup.injectable(opener(ledger), lifetime="scoped"),
                wireup.injectable(Repository, lifetime="transient"),
            ]
        )
    )


def of_rodi(ledger: Ledger, post: Post):
    container = rodi.Container()
    container.add_singleton(Engine)
    container.add_instance(ledger)
    container.add_transient_by_factory(lambda: post.mediator, Mediator)
    container.add_scoped(Session)
    container.add_transient(Repository)
    return RodiContainer(container)


def of_dependency_injector(ledger: Ledger, post: Post):
    class Application(containers.DeclarativeContainer):
        engine = providers.Singleton(Engine)
        session = providers.Factory(Session, engine)
        repository = providers.Factory(Repository, session)

    application = Application()
    return DependencyInjectorContainer(
        {
            Engine: application.engine,
            Ledger: providers.Object(ledger),
            Mediator: providers.Callable(lambda: post.mediator),
            Session: application.session,
            Repository: application.repository,
        }
    )


def opener(ledger: Ledger):
    async def open_session(engine: Engine) -> AsyncIterator[Session]:
        session = Session(engine)
        # As databases do, and so that others have their turn.
        await asyncio.sleep(0)
        ledger.append("opened")
        try:
            yield session
        except BaseException as error:
            ledger.append(repr(error))
            raise
        finally:
            ledger.append("closed")

    return open_session


def problems(mediator: Mediator) -> str:
    """Give what checking finds, but for the request that no handler is bound to."""
    mediator.bind(AskAgain, Unneeding)
    try:
        mediator.check()
    except WiringError as error:
        return "; ".join(map(str, error.exceptions))
    return ""


SETUPS = {
    "lagom": Setup(of_lagom),
    "dishka": Setup(of_dishka, registered=True),
    "punq": Setup(of_punq, shares=False, closes=False, tells=False),
    "svcs": Setup(of_svcs, tells=False),
    "svcs-telling": Setup(partial(of_svcs, suppress_context_exit=False)),
    "wireup": Setup(of_wireup, overrides=False),
    "rodi": Setup(of_rodi, closes=False, tells=False),
    "dependency-injector": Setup(
        of_dependency_injector,
        shares=False,
        closes=False,
        tells=False,
        overrides=False,
    ),
}


def those(which: Callable[[Setup], bool]):
    """Keep a test to the containers that can do what it asks for."""
    return pytest.mark.parametrize(
        "setup", [name for name in SETUPS if which(SETUPS[name])], indirect=True
    )


@pytest.fixture(params=SETUPS)
def setup(request):
    return SETUPS[request.param]


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def container(setup, ledger, post):
    return setup.make(ledger, post)


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def mediator(container, post):
    post.mediator = Mediator(container=container)
    return post.mediator


class TestHandler:
    async def test_nested(self, mediator):
        """What a handler needs is built, and what that needs in turn."""
        mediator.bind(Ask, Handler)

        assert problems(mediator) == ""
        handler = await mediator.send(Ask())

        assert isinstance(handler, Handler)
        assert isinstance(handler.repository.session.engine, Engine)

    async def test_fresh(self, mediator):
        """Each send has a handler of its own, with a session of its own."""
        mediator.bind(Ask, Handler)

        first, second = await mediator.send(Ask()), await mediator.send(Ask())

        assert first is not second
        assert first.repository.session is not second.repository.session

    async def test_singleton(self, mediator):
        """A singleton is the same in all sends, for whoever asks."""
        mediator.bind(Ask, Handler)

        first, second = await mediator.send(Ask()), await mediator.send(Ask())

        assert first.engine is second.engine is second.repository.session.engine

    async def test_mediator(self, mediator):
        """A handler can ask for the mediator, and send with it."""
        mediator.bind(Ask, NestedHandler)

        @mediator.handles(AskAgain)
        async def answer(request: AskAgain, mediator: Mediator):
            return mediator

        assert (await mediator.send(Ask()))[1] is mediator

    async def test_function(self, mediator):
        """The parameters of a function are injected; defaults give way if known."""

        @mediator.handles(Ask)
        async def answer(
            request: Ask,
            repository: Repository,
            *,
            engine: Engine = None,
            unknown: Unknown = "kept",
            number: int = 7,
        ):
            return repository.session.engine is engine, unknown, number

        assert await mediator.send(Ask()) == (True, "kept", 7)

    async def test_optional_parameters_of_functions(self, mediator):
        """A parameter for `T | None` is given `T` if that is registered."""

        @mediator.handles(Ask)
        async def answer(
            request: Ask,
            must: Engine | None,
            may: Engine | None = None,
            unknown: Unknown | None = None,
            several: Engine | Session | None = None,
        ):
            return must is may, type(may), unknown, several

        assert problems(mediator) == ""
        assert await mediator.send(Ask()) == (True, Engine, None, None)

    @those(lambda setup: not setup.registered)
    async def test_optional_parameters_of_classes(self, mediator, ledger):
        """So it is with a handler's class that the container has no part in."""
        mediator.bind(Ask, OptionalHandler)

        assert problems(mediator) == ""
        handler = await mediator.send(Ask())

        assert handler.must is handler.may
        assert isinstance(handler.may, Engine)
        assert handler.ledger is ledger
        assert handler.unknown is None

    async def test_middleware(self, mediator):
        """A middleware's class is built once, and shares singletons with handlers."""
        mediator.use(Middleware)
        mediator.bind(Ask, Handler)

        engine, handler = await mediator.send(Ask())

        assert engine is handler.engine


class TestMissing:
    def test_knows(self, container):
        """It knows what is registered, and only that."""
        assert container.knows(Engine)
        assert container.knows(Session)
        for unknown in (Unknown, str, list[int], Unknown | None):
            assert not container.knows(unknown)

    async def test_function(self, mediator):
        """What a function misses is named when checked, and when sent."""

        @mediator.handles(Ask)
        async def answer(request, unknown: Unknown): ...

        assert "Unknown" in problems(mediator)
        with pytest.raises(UnresolvableError, match=r"'unknown'.*Unknown"):
            await mediator.send(Ask())

    @those(lambda setup: not setup.registered)
    async def test_class(self, mediator):
        """All that a handler's class misses is named, with its parameters."""

        class Lacking(RequestHandler[Ask, Any]):
            def __init__(self, unknown: Unknown, number: int): ...

            async def handle(self, request): ...

        mediator.bind(Ask, Lacking)

        found = problems(mediator)
        assert "'unknown'" in found
        assert "'number'" in found
        with pytest.raises(UnresolvableError, match=r"Lacking.*'unknown'.*Unknown"):
            await mediator.send(Ask())

    @those(lambda setup: setup.registered)
    async def test_unregistered(self, mediator):
        """A handler's class that has to be registered is named if it is not."""

        class Lacking(RequestHandler[Ask, Any]):
            async def handle(self, request): ...

        mediator.bind(Ask, Lacking)

        with pytest.raises(UnresolvableError, match="Lacking"):
            await mediator.send(Ask())

    def test_nothing_is_built(self, container, ledger):
        """Checking builds nothing, nor does working out how to build."""
        for dependency in (Engine, Session, Repository, Handler):
            container.check(dependency)
            container.factory(dependency)

        assert ledger == []


class TestScope:
    @those(lambda setup: setup.shares)
    async def test_shared(self, mediator):
        """A send shares its session: middleware, handler and nested send have one."""

        @mediator.use
        async def middleware(request, handle):
            session = await current_scope().get(Session)
            return [session, await handle(request)]

        mediator.bind(Ask, NestedHandler)

        @mediator.handles(AskAgain)
        async def answer(request: AskAgain, session: Session):
            return session

        outer, (inner, (nested_outer, nested)) = await mediator.send(Ask())

        assert outer is inner is nested_outer is nested

    @those(lambda setup: setup.closes)
    async def test_opened_at_first_use(self, mediator, ledger):
        """A session is opened when first asked for, and closed at the send's end."""

        @mediator.use
        async def middleware(request, handle):
            ledger.append("before")
            answered = await handle(request)
            ledger.append("after")
            return answered

        mediator.bind(Ask, Handler)

        await mediator.send(Ask())

        assert ledger == ["before", "opened", "after", "closed"]

    @those(lambda setup: setup.closes)
    async def test_unused(self, mediator, ledger):
        """Nothing is opened for a send that does not ask for it."""

        @mediator.handles(Ask)
        async def answer(request, engine: Engine): ...

        await mediator.send(Ask())

        assert ledger == []

    @those(lambda setup: setup.closes)
    async def test_failure(self, setup, mediator, ledger):
        """A failed send closes its session, which is told of it where that can be."""

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            raise KeyError(1)

        with pytest.raises(KeyError):
            await mediator.send(Ask())

        told = ["KeyError(1)"] if setup.tells else []
        assert ledger == ["opened", *told, "closed"]

    @those(lambda setup: setup.closes)
    async def test_cancellation(self, setup, mediator, ledger):
        """A cancelled send closes its session as well."""

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await mediator.send(Ask())

        told = ["CancelledError()"] if setup.tells else []
        assert ledger == ["opened", *told, "closed"]

    @those(lambda setup: setup.shares)
    async def test_event_handlers(self, setup, mediator, ledger):
        """Event handlers run after the send, each event with a session of its own."""
        mediator.bind(Happened, Listener)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            collect(Happened())
            collect(Happened())
            return session

        session = await mediator.send(Ask())

        sessions = [each for each in ledger if isinstance(each, Session)]
        assert len({session, *sessions}) == 3
        if setup.closes:
            once = ["opened", "closed"]
            told = ["" if isinstance(each, Session) else each for each in ledger]
            assert told == [*once, *["opened", "", "closed"] * 2]

    @those(lambda setup: setup.shares)
    async def test_tasks(self, mediator, ledger):
        """Tasks of one send share what it has, though they ask at the same time."""

        @mediator.handles(Ask)
        async def answer(request):
            ask = current_scope().get
            return await asyncio.gather(*(ask(Session) for _ in range(10)))

        assert len(set(await mediator.send(Ask()))) == 1

    @those(lambda setup: setup.shares)
    async def test_concurrent_sends(self, mediator, ledger):
        """Sends at the same time have nothing of each other's."""
        arrived = asyncio.Barrier(100)

        @mediator.handles(Ask)
        async def answer(request, session: Session, repository: Repository):
            await arrived.wait()
            again = await mediator.send(AskAgain())
            return {session, repository.session, again}

        @mediator.handles(AskAgain)
        async def answer_again(request, session: Session):
            return session

        answers = await asyncio.gather(*(mediator.send(Ask()) for _ in range(100)))

        assert [len(answer) for answer in answers] == [1] * 100
        assert len(set().union(*answers)) == 100

    @those(lambda setup: setup.shares)
    async def test_lasting(self, container):
        """What lasts says so, so that middlewares can be built from it."""
        engine, session = container.factory(Engine), container.factory(Session)

        assert not isinstance(engine, Scoped) or engine.lasts
        assert isinstance(session, Scoped)
        assert not session.lasts

    async def test_unused_by_factories(self, container, ledger):
        """A scope can be entered and left with nothing asked of it."""
        async with container.scope():
            pass

        assert ledger == []

    def test_declared(self, setup, container):
        """A container says whether it has scopes."""
        assert container.has_scopes is setup.shares


class TestRefused:
    @pytest.mark.parametrize(
        "adapter",
        [
            DishkaContainer,
            PunqContainer,
            SvcsContainer,
            WireupContainer,
            RodiContainer,
            DependencyInjectorContainer,
        ],
    )
    @pytest.mark.parametrize("other", [object(), {Engine: Engine}, lagom.Container()])
    def test_other(self, adapter, other):
        """An adapter refuses what it is not made for."""
        with pytest.raises(ConfigurationError):
            adapter(other)


class TestOverrides:
    """What tests override, by the harness."""

    @those(lambda setup: setup.overrides)
    async def test_any_depth(self, mediator):
        """It is seen by what is registered, and the mediator stays as it was."""
        mediator.bind(Ask, Handler)
        session = Session(Engine())
        harness = Harness(mediator)
        harness.override(Session, session)

        before, handler = await mediator.send(Ask()), await harness.send(Ask())
        after = await mediator.send(Ask())

        assert handler.repository.session is session
        assert before.repository.session is not session
        assert after.repository.session is not session

    @those(lambda setup: not setup.overrides)
    async def test_unseen(self, mediator):
        """It is refused where what is registered would not see it."""
        mediator.bind(Ask, Handler)
        repository = Repository(Session(Engine()))
        harness = Harness(mediator)

        with pytest.raises(
            UnresolvableError, match=r"Repository needs Session.*override Repository"
        ):
            harness.override(Session, repository.session)
        harness.override(Repository, repository)
        harness.override(Session, repository.session)

        assert (await harness.send(Ask())).repository is repository

    @those(lambda setup: setup.make is not of_lagom)
    async def test_singletons(self, mediator):
        """What does not lead to it is built as always, once for both mediators."""
        mediator.bind(Ask, Handler)
        repository = Repository(Session(Engine()))
        harness = Harness(mediator)
        harness.override(Repository, repository)

        handler = await harness.send(Ask())

        assert handler.repository is repository
        assert handler.engine is (await mediator.send(Ask())).engine

    async def test_mediator(self, mediator):
        """Who asks for the mediator is given that of the harness."""
        mediator.bind(Ask, NestedHandler)
        harness = Harness(mediator)
        harness.stub(AskAgain, "stubbed")

        assert (await harness.send(Ask()))[1] == "stubbed"

    async def test_checked(self, container):
        """What can be built can be with overrides, and what cannot can not."""
        overriding_it = overriding(container, {Engine: Engine()})

        overriding_it.check(Engine)
        assert overriding_it.knows(Ledger)
        with pytest.raises(UnresolvableError):
            overriding_it.check(Unknown)
