"""How types are overridden whatever the container."""

from __future__ import annotations

from collections.abc import AsyncIterator

import dishka
import punq
import pytest
import rodi
import svcs
import wireup
from dependency_injector import providers

from diator import Command, DomainEvent, Mediator, RequestHandler
from diator.container.dependency_injector import DependencyInjectorContainer
from diator.container.dishka import DishkaContainer
from diator.container.punq import PunqContainer
from diator.container.rodi import RodiContainer
from diator.container.svcs import SvcsContainer
from diator.container.wireup import WireupContainer
from diator.exceptions import UnresolvableError
from diator.middlewares.base import Handle
from diator.testing.container import overriding
from diator.testing.harness import Harness


class Sign:
    text = "real"


class Session:
    pass


class Hall:
    def __init__(self, sign: Sign, session: Session) -> None:
        self.sign = sign
        self.session = session


class Opaque:
    def __init__(self, text):
        self.text = text


class Ask(Command[str]):
    pass


class Nest(Command[str]):
    pass


class AskHandler(RequestHandler[Ask, str]):
    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    async def handle(self, request: Ask) -> str:
        return self.hall.sign.text


async def nest(_request: Nest, mediator: Mediator, sign: Sign) -> str:
    return sign.text + await mediator.send(Ask())


async def session() -> AsyncIterator[Session]:
    yield Session()


@pytest.fixture
def container():
    provider = dishka.Provider(scope=dishka.Scope.REQUEST)
    provider.provide(Sign)
    provider.provide(Hall)
    provider.provide(AskHandler)
    provider.provide(session)
    provider.provide(lambda: Opaque("text"), provides=Opaque)
    provider.provide(lambda: mediators[0], provides=Mediator)
    mediators = []
    adapter = DishkaContainer(dishka.make_async_container(provider))
    mediator = Mediator(container=adapter)
    mediators.append(mediator)
    mediator.bind(Ask, AskHandler)
    mediator.handles(Nest)(nest)
    return mediator


def fake() -> Sign:
    sign = Sign()
    sign.text = "fake"
    return sign


class TestOtherContainers:
    async def test_any_depth(self, container):
        """What leads to an override is built with it, functions too."""
        harness = Harness(container)
        harness.override(Sign, fake())

        assert await harness.send(Nest()) == "fakefake"
        harness.sent.one(Ask)
        assert await container.send(Nest()) == "realreal"

    async def test_without_overrides(self, container):
        assert await Harness(container).send(Ask()) == "real"

    def test_all_is_plain(self):
        """What needs no scope is built without one."""
        values = {Sign: fake(), Session: Session()}
        plain = overriding(PunqContainer(punq.Container()), values)

        assert plain.factory(Hall)().sign.text == "fake"
        assert not plain.has_scopes

    def test_check(self, container):
        plain = overriding(container.container, {Sign: fake()})

        plain.check(Sign)
        plain.check(Hall)
        plain.check(Session)
        plain.check(Opaque)
        assert plain.knows(Sign)
        assert not plain.knows(int)
        with pytest.raises(UnresolvableError):
            plain.check(dict[str, int])

    async def test_scoped(self, container):
        """What a scope gives is built by the container behind."""
        harness = Harness(container)
        harness.override(Session, Session())

        assert await harness.send(Ask()) == "real"


class Board:
    """Lasts, and shows the sign."""

    def __init__(self, sign: Sign) -> None:
        self.sign = sign


class Wall:
    """Is built for each send, and has the board."""

    def __init__(self, board: Board) -> None:
        self.board = board


class SignSeen(DomainEvent):
    pass


class PaintedSign(Sign):
    def __init__(self, sign: Sign, session: Session) -> None:
        self.text = f"painted {sign.text}"


async def read(_request: Ask, wall: Wall) -> str:
    return wall.board.sign.text


def of_punq():
    container = punq.Container()
    container.register(Sign)
    container.register(Board, scope=punq.Scope.singleton)
    container.register(Wall)
    return PunqContainer(container)


def of_rodi():
    container = rodi.Container()
    container.add_transient(Sign)
    container.add_singleton(Board)
    container.add_transient(Wall)
    return RodiContainer(container)


def of_dependency_injector():
    board = providers.Singleton(Board, providers.Callable(fake))
    return DependencyInjectorContainer(
        {Board: board, Wall: providers.Factory(Wall, board)}
    )


class PlainContainer:
    """An adapter of somebody's own that has what the protocol asks for, no more."""

    def __init__(self):
        self.behind = of_punq()

    def __getattr__(self, name):
        if name not in ("check", "factory", "has_scopes", "knows", "scope"):
            raise AttributeError(name)
        return getattr(self.behind, name)


def of_dishka(scope):
    provider = dishka.Provider()
    provider.provide(Sign, scope=scope)
    provider.provide(Board, scope=scope)
    provider.provide(Wall, scope=dishka.Scope.REQUEST)
    return DishkaContainer(dishka.make_async_container(provider))


class TestWhatLasts:
    """What is built once, for the mediator and for harnesses."""

    @pytest.mark.parametrize(
        "make",
        [
            of_punq,
            of_rodi,
            of_dependency_injector,
            PlainContainer,
            lambda: of_dishka(dishka.Scope.RUNTIME),
        ],
    )
    async def test_refused(self, make):
        """It would not see an override, so that this is refused, in good time."""
        mediator = Mediator(container=make())
        mediator.handles(Ask)(read)
        harness = Harness(mediator)

        with pytest.raises(UnresolvableError, match=r"(Board|Wall) needs Sign"):
            harness.override(Sign, fake())

    async def test_stubbed(self):
        """What is not used because of a stub is not in the way."""
        mediator = Mediator(container=of_punq())
        mediator.handles(Ask)(read)
        harness = Harness(mediator)
        harness.stub(Ask, "stubbed")
        harness.override(Sign, fake())

        assert await harness.send(Ask()) == "stubbed"

    async def test_overridden_first(self):
        """What is overridden itself is not in the way."""
        mediator = Mediator(container=of_rodi())
        mediator.handles(Ask)(read)
        harness = Harness(mediator)
        harness.override(Board, Board(fake()))
        harness.override(Sign, fake())

        assert await harness.send(Ask()) == "fake"

    async def test_anew(self):
        """A harness builds what leads to an override anew, and nothing else."""
        mediator = Mediator(container=of_dishka(dishka.Scope.APP))
        mediator.handles(Ask)(read)
        harness = Harness(mediator)
        harness.override(Sign, fake())

        assert await mediator.send(Ask()) == "real"
        assert await harness.send(Ask()) == "fake"

    async def test_mediator(self):
        """What would send past the harness is refused, not used."""
        by_type = {}
        mediator = Mediator(container=DependencyInjectorContainer(by_type))
        by_type[Mediator] = providers.Object(mediator)
        by_type[Notifier] = providers.Factory(Notifier, by_type[Mediator])
        mediator.handles(Nest)(notify)
        harness = Harness(mediator)
        harness.stub(Ask, "stubbed")

        with pytest.raises(UnresolvableError, match="Notifier needs Mediator"):
            await harness.send(Nest())

    def test_event_handlers(self):
        """Those who handle events are looked at, too."""
        mediator = Mediator(container=of_punq())

        @mediator.handles(SignSeen)
        async def repaint(event: SignSeen, board: Board) -> None: ...

        with pytest.raises(UnresolvableError, match="override Board first"):
            Harness(mediator).override(Sign, fake())

    def test_middlewares(self):
        """Middlewares are looked at as handlers are, those of events too."""

        class Middleware:
            def __init__(self, board: Board) -> None: ...

            async def __call__(self, message, handle): ...

        for chain in ("mediator", "emitter"):
            mediator = Mediator(container=of_punq())
            emitter = mediator.event_emitter
            (mediator if chain == "mediator" else emitter).use(Middleware)

            with pytest.raises(UnresolvableError, match="override Board first"):
                Harness(mediator).override(Sign, fake())


class Marking:
    """A middleware that needs what is overridden, and what lasts."""

    def __init__(self, sign: Sign, session: Session) -> None:
        self.sign = sign

    async def __call__(self, request: object, handle: Handle) -> str:
        return f"{self.sign.text} {await handle(request)}"


async def say_hello(_request: Command[str]) -> str:
    return "hello"


class Notifier:
    """Sends on behalf of others."""

    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator


async def notify(_request: Nest, notifier: Notifier) -> str:
    return await notifier.mediator.send(Ask())


class TestUnregistered:
    """Classes that nobody registered, and that need what is overridden."""

    async def test_built(self):
        """They are built as without overrides, and so last as long."""
        container = wireup.create_async_container(
            injectables=[wireup.injectable(Session), wireup.injectable(Sign)]
        )
        mediator = Mediator(container=WireupContainer(container))
        mediator.handles(Ask)(say_hello)
        mediator.handles(Nest)(say_hello)
        mediator.use(Marking)
        harness = Harness(mediator)
        harness.override(Sign, fake())

        harness.mediator.check()
        assert await mediator.send(Ask()) == "real hello"
        assert await harness.send(Ask()) == "fake hello"

    async def test_refused(self):
        """Where the container would not build them, neither does the harness."""
        mediator = Mediator(container=of_dishka(dishka.Scope.APP))
        mediator.bind(Ask, AskHandler)
        harness = Harness(mediator)
        harness.override(Hall, Hall(fake(), Session()))

        with pytest.raises(UnresolvableError, match="AskHandler"):
            await harness.send(Ask())


class TestSvcs:
    async def test_functions(self):
        """A function that asks svcs's container finds an override there."""

        async def hall(container: svcs.Container) -> Hall:
            return Hall(await container.aget(Sign), Session())

        registry = svcs.Registry()
        registry.register_factory(Sign, Sign)
        registry.register_factory(Hall, hall)
        mediator = Mediator(container=SvcsContainer(registry))
        mediator.bind(Ask, AskHandler)
        harness = Harness(mediator)
        harness.override(Sign, fake())

        assert await harness.send(Ask()) == "fake"
        assert await mediator.send(Ask()) == "real"


class TestRodi:
    @pytest.mark.skipif(
        not hasattr(rodi.Container, "decorate"), reason="rodi has none before 2.1"
    )
    async def test_decorators(self):
        """A decorator, and what it decorates, see an override."""
        container = rodi.Container()
        container.add_transient(Sign)
        container.decorate(Sign, PaintedSign)
        container.add_transient(Session)
        container.add_transient(Hall)
        adapter = RodiContainer(container)
        mediator = Mediator(container=adapter)
        mediator.bind(Ask, AskHandler)
        harness = Harness(mediator)
        harness.override(Session, Session())

        assert adapter.needs(Sign) == {Sign, Session}
        assert await harness.send(Ask()) == "painted real"

    async def test_functions(self):
        """A function that looks in rodi's container finds an override there."""
        container = rodi.Container()
        container.add_transient(Sign)
        container.add_transient(Session)
        container.add_transient_by_factory(
            lambda services: Hall(services.provider.get(Sign), Session()), Hall
        )
        mediator = Mediator(container=RodiContainer(container))
        mediator.bind(Ask, AskHandler)
        harness = Harness(mediator)
        harness.override(Sign, fake())

        assert await harness.send(Ask()) == "fake"
