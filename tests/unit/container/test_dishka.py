"""The adapter to dishka builds handlers, each in the scope of its send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from dishka import (
    AsyncContainer,
    BaseScope,
    Provider,
    Scope,
    make_async_container,
    make_container,
    new_scope,
)

from diator import (
    DomainEvent,
    EventHandler,
    Mediator,
    Request,
    RequestHandler,
    collect,
)
from diator.container.dishka import DishkaContainer
from diator.exceptions import ConfigurationError, UnresolvableError, WiringError


class Engine:
    pass


class Session:
    def __init__(self, engine: Engine):
        self.engine = engine


class Repository:
    def __init__(self, session: Session):
        self.session = session


@dataclass(frozen=True)
class Ask(Request[object]):
    pass


@dataclass(frozen=True)
class Happened(DomainEvent):
    pass


class Handler(RequestHandler[Ask, object]):
    def __init__(self, repository: Repository, session: Session):
        self.repository = repository
        self.session = session

    async def handle(self, request):
        return self


class Listener(EventHandler[Happened]):
    heard: list[Session]

    def __init__(self, session: Session):
        self.session = session

    async def handle(self, event):
        self.heard.append(self.session)


class Middleware:
    def __init__(self, engine: Engine):
        self.engine = engine

    async def __call__(self, request, handle):
        return self.engine, await handle(request)


class Unknown:
    pass


@pytest.fixture
def provider():
    provider = Provider(scope=Scope.REQUEST)
    provider.provide(Engine, scope=Scope.APP)
    provider.provide(Middleware, scope=Scope.APP)
    for dependency in (Session, Repository, Handler, Listener):
        provider.provide(dependency)
    return provider


@pytest.fixture
def mediator(provider):
    return Mediator(container=DishkaContainer(make_async_container(provider)))


class TestDefaults:
    async def test_registered(self, mediator):
        """The default of a function's parameter gives way to what a provider knows."""

        @mediator.handles(Ask)
        async def answer(
            request: Ask, engine: Engine = None, unknown: Unknown = "default"
        ):
            return type(engine), unknown

        assert await mediator.send(Ask()) == (Engine, "default")


class TestSend:
    async def test_handler(self, mediator):
        """A handler is built by the providers, which share within one send."""
        mediator.bind(Ask, Handler)

        first, second = await mediator.send(Ask()), await mediator.send(Ask())

        assert first.repository.session is first.session
        assert first.session is not second.session
        assert first.session.engine is second.session.engine

    async def test_function(self, mediator):
        """A function needs no provider, but what it asks for does."""

        @mediator.handles(Ask)
        async def answer(request, repository: Repository, *, unknown: Unknown = None):
            return repository, unknown

        repository, unknown = await mediator.send(Ask())

        assert isinstance(repository, Repository)
        assert unknown is None

    async def test_middleware(self, mediator):
        """A middleware's class is built by the providers as well."""
        mediator.use(Middleware)
        mediator.bind(Ask, Handler)

        engine, handler = await mediator.send(Ask())

        assert engine is handler.session.engine

    async def test_middleware_of_a_send(self, provider):
        """A middleware's class lasts, and is refused where it belongs to a send."""

        class Keeping:
            def __init__(self, session: Session): ...

            async def __call__(self, request, handle): ...

        provider.provide(Keeping)
        mediator = Mediator(container=DishkaContainer(make_async_container(provider)))
        mediator.bind(Ask, Handler)
        mediator.use(Keeping)

        with pytest.raises(UnresolvableError, match="a middleware lasts"):
            await mediator.send(Ask())

    async def test_event_handler(self, mediator):
        """An event handler is built in the scope of its event."""
        Listener.heard = []
        mediator.bind(Happened, Listener)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            collect(Happened())
            collect(Happened())
            return session

        session = await mediator.send(Ask())

        assert len({session, *Listener.heard}) == 3

    async def test_same_container(self, mediator):
        """The container that a handler asks for is that of its send."""

        @mediator.handles(Ask)
        async def answer(request, session: Session, container: AsyncContainer):
            return await container.get(Session) is session

        assert await mediator.send(Ask())

    async def test_built_once(self, provider):
        """What two tasks of one send ask for at the same time is built once."""
        building = asyncio.Event()
        may_build = asyncio.Event()

        async def build(engine: Engine) -> Session:
            building.set()
            await may_build.wait()
            return Session(engine)

        provider.provide(build)
        container = DishkaContainer(make_async_container(provider))
        ask = container.factory(Session).build

        async def let_it_build():
            # Its turn comes after that of both tasks, which have asked by then.
            await building.wait()
            may_build.set()

        async with container.scope() as request:
            first, second, _ = await asyncio.gather(
                ask(request), ask(request), let_it_build()
            )

        assert first is second

    async def test_application_stays_open(self, provider):
        """What lives as long as the application is closed by the application."""
        ledger = []

        def open_engine():
            yield Engine()
            ledger.append("closed")

        provider.provide(open_engine, provides=Engine, scope=Scope.APP)
        application = make_async_container(provider)
        mediator = Mediator(container=DishkaContainer(application))
        mediator.bind(Ask, Handler)

        async with mediator:
            await mediator.send(Ask())

        assert ledger == []
        await application.close()
        assert ledger == ["closed"]


class TestCheck:
    @pytest.mark.parametrize("dependency", [Engine, Session, Repository, Handler])
    def test_known(self, provider, dependency):
        """What a provider gives passes, in whichever scope around a send it lives."""
        DishkaContainer(make_async_container(provider)).check(dependency)

    def test_nothing_is_built(self):
        """Checking builds nothing."""

        def build():
            raise NotImplementedError

        provider = Provider(scope=Scope.REQUEST)
        provider.provide(build, provides=Session)
        container = DishkaContainer(make_async_container(provider))

        container.check(Session)
        container.factory(Session)

    @pytest.mark.parametrize("dependency", [Unknown, str, list[int]])
    def test_unknown(self, provider, dependency):
        """What no provider gives is told with its name and the remedy."""
        container = DishkaContainer(make_async_container(provider))
        name = dependency.__qualname__

        for find_out in (container.check, container.factory):
            with pytest.raises(UnresolvableError, match=f"gives {name} ") as caught:
                find_out(dependency)
            assert f"Provider.provide({name}, scope=Scope.REQUEST)" in str(caught.value)

    def test_scope_inside_of_a_send(self):
        """What lives shorter than a send is not there for a handler."""
        provider = Provider(scope=Scope.ACTION)
        provider.provide(Engine)
        container = DishkaContainer(make_async_container(provider))

        with pytest.raises(UnresolvableError, match="Engine"):
            container.check(Engine)

    def test_own_scopes(self):
        """Instead of REQUEST it is the scope next to the container's, by any name."""

        class OwnScope(BaseScope):
            PROCESS = new_scope("PROCESS")
            MESSAGE = new_scope("MESSAGE")
            PART = new_scope("PART")

        provider = Provider()
        provider.provide(Engine, scope=OwnScope.MESSAGE)
        provider.provide(Unknown, scope=OwnScope.PART)
        container = DishkaContainer(make_async_container(provider, scopes=OwnScope))

        container.check(Engine)
        with pytest.raises(UnresolvableError):
            container.check(Unknown)

    def test_mediator(self):
        """The mediator finds a handler that no provider gives."""
        mediator = Mediator(container=DishkaContainer(make_async_container()))
        mediator.bind(Ask, Handler)

        with pytest.raises(WiringError) as caught:
            mediator.check()
        [error] = caught.value.exceptions
        assert "Handler" in str(error)


class TestRefused:
    @pytest.mark.parametrize("make", [make_container, dict])
    def test_not_async(self, make):
        """A synchronous container, or none at all, is refused."""
        with pytest.raises(ConfigurationError, match="make_async_container"):
            DishkaContainer(make())
