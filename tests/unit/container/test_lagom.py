"""The adapter to lagom builds what lagom builds, and opens what belongs to a send."""

from __future__ import annotations

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

# Lagom does not know the newer `Awaitable`.
from typing import (  # noqa: UP035
    Any,
    Awaitable,
    Generic,
    NewType,
    Optional,
    Protocol,
    TypeVar,
)

import lagom
import pytest
from lagom.definitions import UnresolvableTypeDefinition
from lagom.interfaces import SpecialDepDefinition

from diator import Mediator, Request, RequestHandler
from diator.container.lagom import LagomContainer
from diator.container.protocol import Scoped
from diator.exceptions import BindingError, ConfigurationError, UnresolvableError

T = TypeVar("T")

built: list[str] = []
"""The names of the classes that were built, in this order."""


@pytest.fixture(autouse=True)
def nothing_built():
    built.clear()


class Part:
    """Notes down when it is built."""

    def __new__(cls, *args, **kwargs):
        built.append(cls.__name__)
        return super().__new__(cls)


class Clock(Part):
    pass


class FakeClock(Clock):
    pass


class Engine(Part):
    pass


class Meetings(Part):
    def __init__(self, engine: Engine, clock: Clock):
        self.engine = engine
        self.clock = clock


class Users(Part):
    def __init__(self, engine: Engine):
        self.engine = engine


class Service(Part):
    def __init__(self, users: Users, meetings: Meetings, clock: Clock):
        self.users = users
        self.meetings = meetings
        self.clock = clock


class InheritedService(Service):
    pass


class KeywordService(Part):
    def __init__(self, users: Users, *, clock: Clock, name: str = "service"):
        self.users = users
        self.clock = clock
        self.name = name


class SkippingService(Part):
    """Leaves its first parameter alone, so that the second has a gap before it."""

    def __init__(self, name: str = "service", clock: Clock | None = None):
        self.name = name
        self.clock = clock


class DefaultService(Part):
    def __init__(
        self,
        clock: Clock = None,
        name: str = "service",
        size: int = 3,
        anything: Any = "anything",
        unannotated="unannotated",
    ):
        self.clock = clock
        self.name = name
        self.size = size
        self.anything = anything
        self.unannotated = unannotated


class OptionalService(Part):
    def __init__(
        self,
        clock: Clock | None,
        engine: Optional[Engine],  # noqa: UP045  # the older spelling is what is tested
        users: Users | None = None,
        name: str | None = "service",
    ):
        self.clock = clock
        self.engine = engine
        self.users = users
        self.name = name


class NothingService(Part):
    """What is registered as nothing leaves the parameter to its default."""

    def __init__(self, engine: Engine, clock: Clock = "none"):
        self.engine = engine
        self.clock = clock


class LonelyService(Part):
    """The same, where nothing else is given."""

    def __init__(self, clock: Clock = "none"):
        self.clock = clock


class VariadicService(Part):
    def __init__(self, clock: Clock, *rest, **options):
        self.clock = clock
        self.rest = rest
        self.options = options


@dataclass(frozen=True)
class DataService:
    clock: Clock
    engine: Engine


Limit = NewType("Limit", int)


class LimitedService(Part):
    def __init__(self, limit: Limit):
        self.limit = limit


class Port(ABC):
    @abstractmethod
    def call(self): ...


class Adapter(Part, Port):
    def call(self): ...


class Speaking(Protocol):
    def speak(self): ...


class PortService(Part):
    def __init__(self, port: Port, other: Port | None = None):
        self.port = port
        self.other = other


class OwnDefinition(SpecialDepDefinition):
    """A definition of a user's own."""

    def get_instance(self, container):
        return Users(container[Engine])


def nothing(_container):
    pass


def alias(container):
    container[Clock] = FakeClock


def alias_of_alias(container):
    container[Port] = Clock
    container[Clock] = FakeClock


def itself(container):
    container[Users] = Users


def instance(container):
    container[Limit] = 7


def plain_function(container):
    container[Port] = lambda: Adapter()  # noqa: PLW0108  # a class would be an alias


def function_of_container(container):
    container[Port] = lambda c: Adapter(c[Clock])


def singleton(container):
    container[Engine] = lagom.Singleton(Engine)


def singleton_function(container):
    container[Engine] = lagom.Singleton(lambda: Engine())  # noqa: PLW0108  # as above


def singleton_of_derived(container):
    container[Clock] = lagom.Singleton(FakeClock)


def singleton_with_dependencies(container):
    container[Users] = lagom.Singleton(Users)
    container[Engine] = lagom.Singleton(Engine)


def singleton_of_optional(container):
    container[Clock] = lagom.Singleton(Clock)
    container[Users] = lagom.Singleton(lambda c: Users(c[Engine]))


def nothing_from_instance(container):
    container[Clock] = None


def nothing_from_function(container):
    container[Clock] = lambda: None


def own_definition(container):
    container[Users] = OwnDefinition()


GRAPHS = [
    (nothing, Clock),
    (nothing, Users),
    (nothing, Service),
    (nothing, InheritedService),
    (nothing, KeywordService),
    (nothing, SkippingService),
    (nothing, DefaultService),
    (nothing, OptionalService),
    (nothing, VariadicService),
    (nothing, DataService),
    (alias, Service),
    (alias, OptionalService),
    (alias, Clock),
    (alias_of_alias, PortService),
    (itself, Service),
    (instance, LimitedService),
    (plain_function, PortService),
    (function_of_container, PortService),
    (function_of_container, Port),
    (singleton, Service),
    (singleton, DataService),
    (singleton, KeywordService),
    (singleton, Engine),
    (singleton_function, Service),
    (singleton_of_derived, Service),
    (singleton_of_derived, SkippingService),
    (singleton_with_dependencies, Service),
    (singleton_with_dependencies, Users),
    (singleton_of_optional, OptionalService),
    (nothing_from_instance, NothingService),
    (nothing_from_instance, LonelyService),
    (nothing_from_function, NothingService),
    (own_definition, Service),
]


def parts(thing):
    """Give an object and all that it was built from."""
    yield thing
    for value in getattr(thing, "__dict__", {}).values():
        yield from parts(value)


def described(*things):
    """Give the kinds of objects, and which of them are the same object."""
    found = [part for thing in things for part in parts(thing)]
    seen = {}
    return [
        (type(part).__name__, seen.setdefault(id(part), len(seen)))
        if hasattr(part, "__dict__")
        else part
        for part in found
    ]


class TestFactory:
    @pytest.mark.parametrize("register, dependency", GRAPHS)
    def test_same_as_lagom(self, register, dependency):
        """What is built, of which parts and in which order, is what lagom builds."""
        plain = lagom.Container()
        register(plain)
        adapter = LagomContainer()
        register(adapter)
        build = adapter.factory(dependency)

        expected = plain[dependency], plain[dependency]
        # From the second time on all singletons are there.
        built.clear()
        plain[dependency]
        expected_order = list(built)
        actual = build(), build()
        built.clear()
        build()

        assert described(*actual) == described(*expected)
        assert built == expected_order

    def test_singletons_right_away(self):
        """Singletons are built with the factory, so that no send waits for one."""
        container = LagomContainer()
        container[Engine] = lagom.Singleton(Engine)

        build = container.factory(Users)

        assert built == ["Engine"]
        assert build().engine is build().engine
        assert built == ["Engine", "Users", "Users"]

    def test_singleton_itself_right_away(self):
        """So is one that is asked for by itself."""
        container = LagomContainer()
        container[Engine] = lagom.Singleton(Engine)

        container.factory(Engine)

        assert built == ["Engine"]

    def test_singletons_of_lagom(self):
        """A singleton is the one that the lagom container has."""
        container = LagomContainer()
        container[Engine] = lagom.Singleton(Engine)

        assert container.factory(Users)().engine is container.container[Engine]

    def test_clone(self):
        """What a clone overrides is built for it, and for the original as before."""
        original = lagom.Container()
        original[Engine] = lagom.Singleton(Engine)
        original[Clock] = Clock
        clone = original.clone()
        clone[Clock] = FakeClock

        ours = LagomContainer.of(original).factory(Service)()
        theirs = LagomContainer.of(clone).factory(Service)()

        assert type(ours.clock) is type(ours.meetings.clock) is Clock
        assert type(theirs.clock) is type(theirs.meetings.clock) is FakeClock
        assert ours.users.engine is theirs.users.engine

    def test_explicit_container(self):
        """An explicit container builds what is registered in it."""
        container = LagomContainer(lagom.ExplicitContainer())
        container[Engine] = lagom.Singleton(lambda: Engine())  # noqa: PLW0108  # as above
        container[Users] = lambda c: Users(c[Engine])

        build = container.factory(Users)

        assert build() is not build()
        assert build().engine is build().engine

    def test_container_of_another_kind(self):
        """Another kind of container builds by its own rules what it does not define."""

        class Obliging(lagom.Container):
            def resolve(self, dependency, *args, **kwargs):
                return f"a {dependency.__name__}"

        assert LagomContainer(Obliging()).factory(Clock)() == "a Clock"


class TestCheck:
    @pytest.mark.parametrize("register, dependency", GRAPHS)
    def test_nothing_is_built(self, register, dependency):
        """Checking builds nothing, not even a singleton."""
        container = LagomContainer()
        register(container)

        container.check(dependency)

        assert built == []


class Named(Part):
    def __init__(self, name: str):
        self.name = name


class Counted(Part):
    def __init__(self, *, count: int):
        self.count = count


class Unannotated(Part):
    def __init__(self, thing):
        self.thing = thing


class Deep(Part):
    def __init__(self, clock: Clock, named: Named):
        self.named = named


class Deeper(Part):
    def __init__(self, deep: Deep):
        self.deep = deep


class OptionalPort(Part):
    def __init__(self, port: Port | None):
        self.port = port


class SpeakingService(Part):
    def __init__(self, speaker: Speaking):
        self.speaker = speaker


class Either(Part):
    def __init__(self, port: Clock | Engine):
        self.port = port


class Unreadable(Part):
    def __init__(self, port: DoesNotExist):  # noqa: F821  # it is the point
        self.port = port


class Egg(Part):
    def __init__(self, hen: Hen):
        self.hen = hen


class Hen(Part):
    def __init__(self, egg: Egg):
        self.egg = egg


class Farm(Part):
    def __init__(self, hen: Hen):
        self.hen = hen


class PositionalOnly(Part):
    def __init__(self, clock: Clock, /):
        self.clock = clock


class TestUnresolvable:
    @pytest.mark.parametrize(
        "dependency, told",
        [
            (Named, ["Named", "'name'", "str", "a class of your own"]),
            (Counted, ["Counted", "'count'", "int"]),
            (Unannotated, ["Unannotated", "'thing'", "no annotation"]),
            (Deeper, ["Deeper", "'deep'", "Deep", "'named'", "Named", "'name'", "str"]),
            (Port, ["Port is abstract", "container[Port] = ..."]),
            (PortService, ["PortService", "'port'", "Port is abstract"]),
            (OptionalPort, ["OptionalPort", "'port'", "Port is abstract"]),
            (Speaking, ["Speaking is abstract", "container[Speaking] = ..."]),
            (SpeakingService, ["SpeakingService", "'speaker'", "Speaking"]),
            (Either, ["Either", "'port'", "Clock", "Engine"]),
            (Unreadable, ["Unreadable", "DoesNotExist"]),
            (Hen, ["Hen → Egg → Hen"]),
            (Farm, ["Farm", "'hen'", "Hen → Egg → Hen"]),
            (PositionalOnly, ["PositionalOnly", "'clock'", "positional-only"]),
            (str, ["str", "a class of your own"]),
        ],
    )
    def test_message(self, dependency, told):
        """The error leads from what was asked for to the parameter at fault."""
        container = LagomContainer()

        for find_out in (container.check, container.factory):
            with pytest.raises(UnresolvableError) as caught:
                find_out(dependency)
            position = -1
            for fragment in told:
                position = str(caught.value).find(fragment, position + 1)
                assert position >= 0, f"{fragment} is not told in {caught.value}"
        assert built == []

    def test_circle_of_aliases(self):
        """Aliases that lead to each other are a circle, too."""
        container = LagomContainer()
        container[Clock] = FakeClock
        container[FakeClock] = Clock

        with pytest.raises(UnresolvableError, match="Clock → FakeClock → Clock"):
            container.check(Clock)

    def test_circle_of_a_singleton(self):
        """So is a singleton that is built as another class, which needs it."""

        class Clock:
            pass

        class Watch(Clock):
            def __init__(self, clock: Clock): ...

        Watch.__init__.__annotations__["clock"] = Clock
        container = LagomContainer()
        container[Clock] = lagom.Singleton(Watch)

        with pytest.raises(UnresolvableError, match=r"Clock → .*Watch → .*Clock"):
            container.check(Clock)

    def test_only_awaitable(self):
        """What can only be awaited is not there without, which is told at once."""

        async def engine():
            return Engine()

        container = LagomContainer()
        container[Awaitable[Engine]] = engine

        with pytest.raises(UnresolvableError, match=r"Users.*'engine'.*Awaitable"):
            container.check(Users)

    def test_blocked(self):
        """What is registered as not to be built is told, with the reason."""
        container = LagomContainer()
        container[Engine] = UnresolvableTypeDefinition("ask the garage", Engine)

        with pytest.raises(UnresolvableError, match=r"Users.*Engine.*ask the garage"):
            container.check(Users)

    def test_enum(self):
        """Nothing says which member of an enum is meant."""
        with pytest.raises(UnresolvableError, match="which Mode to take; register it"):
            LagomContainer().check(Mode)


class Rooster(Part):
    """Is in a circle, as far as nobody leaves it at its default."""

    def __init__(self, perch: Perch):
        self.perch = perch


class Perch(Part):
    def __init__(self, farm: FarmOfOne):
        self.farm = farm


class FarmOfOne(Part):
    def __init__(self, perch: Perch = None):
        self.perch = perch


class Chick(Part):
    """The same, with a parameter that is optional."""

    def __init__(self, nest: Nest):
        self.nest = nest


class Nest(Part):
    def __init__(self, nest: Nest | None = None):
        self.nest = nest


class Box(Generic[T]):
    pass


class GenericService(Part):
    def __init__(self, box: Box[int]):
        self.box = box


class CallableDefault(Part):
    def __init__(self, now: Callable[[], datetime] = datetime.now):
        self.now = now


class UnionDefault(Part):
    def __init__(self, size: int | str = 3):
        self.size = size


class Mode(Enum):
    FAST = 1


class EnumDefault(Part):
    def __init__(self, mode: Mode = Mode.FAST):
        self.mode = mode


class Node(Part):
    def __init__(self, parent: Node = None):
        self.parent = parent


@dataclass
class ListDefault:
    items: list[int] = field(default_factory=list)


UNUSUAL = [
    GenericService,
    CallableDefault,
    UnionDefault,
    EnumDefault,
    Node,
    ListDefault,
    Rooster,
    Chick,
]


class TestUnusualParameters:
    @pytest.mark.parametrize("dependency", UNUSUAL)
    def test_built(self, dependency):
        """A parameter whose type cannot be built keeps its default, if it has one."""
        container = LagomContainer()

        container.check(dependency)

        assert isinstance(container.factory(dependency)(), dependency)

    @pytest.mark.parametrize("dependency", UNUSUAL)
    def test_singleton(self, dependency):
        """The same holds for singletons, although lagom keeps them."""
        container = LagomContainer()
        container[dependency] = lagom.Singleton(dependency)

        build = container.factory(dependency)

        assert build() is build()
        assert container.container[dependency] is build()

    def test_explicit_container(self):
        """An explicit container refuses what is not registered in it."""
        container = LagomContainer(lagom.ExplicitContainer())

        with pytest.raises(UnresolvableError, match="how to build Engine"):
            container.check(Engine)


class UnreadableSession:
    """What is opened and closed, with annotations for type checkers alone."""

    def __init__(self, bind: DoesNotExist = None):  # noqa: F821  # it is the point
        self.bind = bind

    async def __aenter__(self): ...

    async def __aexit__(self, *error): ...


class UnreadableLock:
    """The same, without `async`."""

    def __init__(self, name: DoesNotExist = None):  # noqa: F821  # as above
        self.name = name

    def __enter__(self): ...

    def __exit__(self, *error): ...


class TestRemedies:
    @pytest.mark.parametrize("dependency", [UnreadableSession, UnreadableLock])
    def test_forgotten_resource(self, dependency):
        """A class that is to be closed reminds of declaring it as scoped."""
        name = dependency.__name__

        with pytest.raises(UnresolvableError) as caught:
            LagomContainer().check(dependency)

        assert f"container[{name}] = ..." in str(caught.value)
        assert f"container.scoped({name}, ...)" in str(caught.value)

    def test_text(self):
        """A class that asks for a mere text can be registered itself."""
        with pytest.raises(
            UnresolvableError, match=r"container\[Named\] = lambda: Named\(...\)"
        ):
            LagomContainer().check(Deeper)

    def test_registered_twice(self):
        """Registering a type a second time is refused, with the remedy."""
        container = LagomContainer()
        container[Clock] = FakeClock

        with pytest.raises(BindingError, match=r"Clock is registered already.*clone"):
            container[Clock] = Clock

    def test_text_cannot_be_registered(self):
        """Neither can what cannot be told from others of its type."""
        with pytest.raises(BindingError, match="a class of your own"):
            LagomContainer()[str] = "text"

    def test_function_of_too_much(self):
        """Nor what lagom cannot call."""
        with pytest.raises(BindingError, match=r"Clock cannot be registered.*Arity 2"):
            LagomContainer()[Clock] = lambda container, clock: clock


class TestRegistration:
    def test_as_lagom(self):
        """The adapter registers and builds as the lagom container itself does."""
        plain = lagom.Container()
        container = LagomContainer(plain)
        clock = Clock()

        container[Clock] = clock

        assert container[Clock] is plain[Clock] is clock

    def test_one_adapter(self):
        """A lagom container has one adapter, and with it one set of resources."""
        plain = lagom.Container()
        container = LagomContainer(plain)

        assert LagomContainer.of(plain) is container

    def test_second_adapter(self):
        """A second one, which would know of no resources, is refused."""
        plain = lagom.Container()
        LagomContainer(plain)

        with pytest.raises(ConfigurationError, match=r"LagomContainer\.of"):
            LagomContainer(plain)

    def test_adapter_of_clone(self):
        """A clone has an adapter of its own, and is not mistaken for the original."""
        plain = lagom.Container()
        clone = plain.clone()
        container = LagomContainer(plain)

        adapter = LagomContainer.of(clone)

        assert adapter is not container
        assert adapter.container is clone
        assert LagomContainer.of(clone) is adapter

    def test_new_container(self):
        """Without a container there is a new one."""
        assert (
            LagomContainer.of(None).container is not LagomContainer.of(None).container
        )

    def test_not_a_container(self):
        """Only a lagom container has such an adapter."""
        with pytest.raises(TypeError, match=r"not a lagom\.Container"):
            LagomContainer.of({})


class Connection(Part):
    pass


class Session(Part):
    def __init__(self, connection=None):
        self.connection = connection


class Repository(Part):
    def __init__(self, session: Session):
        self.session = session


class UnitOfWork(Part):
    """A resource that opens and closes itself."""

    async def __aenter__(self):
        ledger.append("open")
        return self

    async def __aexit__(self, error_type, error, traceback):
        ledger.append(f"close {error!r}")


class Transaction(UnitOfWork):
    def __init__(self, engine: Engine):
        self.engine = engine


ledger: list[str] = []
"""What was opened and closed, in this order."""


@pytest.fixture(autouse=True)
def nothing_opened():
    ledger.clear()


async def open_async():
    ledger.append("open")
    try:
        yield Session()
    except BaseException as error:
        ledger.append(f"close {error!r}")
        raise
    else:
        ledger.append("close None")


def open_plain():
    ledger.append("open")
    try:
        yield Session()
    except BaseException as error:
        ledger.append(f"close {error!r}")
        raise
    else:
        ledger.append("close None")


class Sessions:
    """Called without arguments it gives a context manager, as sessionmakers do."""

    def __call__(self, **options):
        return asynccontextmanager(open_async)()


@dataclass(frozen=True)
class Ask(Request[object]):
    """Answered with what its handler was built from."""


@dataclass(frozen=True)
class AskWithin(Request[object]):
    """Sent while another request is handled."""


OPENERS = [
    open_async,
    open_plain,
    asynccontextmanager(open_async),
    contextmanager(open_plain),
    lambda: asynccontextmanager(open_async)(),  # noqa: PLW0108  # another kind
    Sessions(),
]


class TestScoped:
    @pytest.mark.parametrize("open_session", OPENERS)
    async def test_success(self, open_session):
        """However it is declared: opened for the send, and closed at its end."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_session)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            ledger.append("handle")
            return session

        assert isinstance(await mediator.send(Ask()), Session)
        assert ledger == ["open", "handle", "close None"]

    @pytest.mark.parametrize("open_session", OPENERS)
    async def test_failure(self, open_session):
        """However it is declared: told of the exception that the send failed with."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_session)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            raise ValueError(request)

        with pytest.raises(ValueError, match="Ask"):
            await mediator.send(Ask())
        assert ledger == ["open", "close ValueError(Ask())"]

    async def test_class(self):
        """A class that is an async context manager opens its instance."""
        mediator = Mediator()
        mediator.container.scoped(UnitOfWork, UnitOfWork)

        @mediator.handles(Ask)
        async def answer(request, unit_of_work: UnitOfWork):
            return unit_of_work

        assert isinstance(await mediator.send(Ask()), UnitOfWork)
        assert ledger == ["open", "close None"]

    async def test_injected_parameters(self):
        """What it takes to open a resource is injected."""
        mediator = Mediator()

        async def open_session(engine: Engine, *, clock: Clock, size: int = 3):
            yield engine, clock, size

        mediator.container.scoped(Session, open_session)
        mediator.container[Engine] = engine = Engine()

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            return session

        opened_with = await mediator.send(Ask())

        assert opened_with[0] is engine
        assert isinstance(opened_with[1], Clock)
        assert opened_with[2] == 3

    async def test_injected_parameters_of_a_class(self):
        """So is what a class needs that is a context manager itself."""
        mediator = Mediator()
        mediator.container.scoped(Transaction, Transaction)

        @mediator.handles(Ask)
        async def answer(request, transaction: Transaction):
            return transaction.engine

        assert isinstance(await mediator.send(Ask()), Engine)

    async def test_injected_parameters_of_a_partial(self):
        """A generator function may have some of its parameters already."""

        def open_session(size, engine: Engine):
            yield size, engine

        mediator = Mediator()
        mediator.container.scoped(Session, functools.partial(open_session, 3))

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            return session

        size, engine = await mediator.send(Ask())

        assert size == 3
        assert isinstance(engine, Engine)

    def test_unresolvable_parameters(self):
        """What it takes to open a resource is checked along with it."""

        async def open_session(url: str):
            yield Session(url)

        container = LagomContainer()
        container.scoped(Session, open_session)

        with pytest.raises(UnresolvableError, match="'url'"):
            container.check(Session)

    async def test_circle_of_resources(self):
        """Resources that need each other are refused, instead of waiting forever."""

        async def open_session(connection: Connection):
            yield Session(connection)

        async def open_connection(session: Session):
            yield Connection()

        mediator = Mediator()
        mediator.container.scoped(Session, open_session)
        mediator.container.scoped(Connection, open_connection)

        @mediator.handles(Ask)
        async def answer(request, session: Session): ...

        with pytest.raises(UnresolvableError, match="Session → Connection → Session"):
            await asyncio.wait_for(mediator.send(Ask()), 1)

    async def test_resource_of_resources(self):
        """A resource opened from another is closed before it, and shares it."""
        mediator = Mediator()

        @asynccontextmanager
        async def open_connection():
            ledger.append("open connection")
            yield Connection()
            ledger.append("close connection")

        def open_session(connection: Connection):
            ledger.append("open session")
            yield Session(connection)
            ledger.append("close session")

        mediator.container.scoped(Session, open_session)
        mediator.container.scoped(Connection, open_connection)

        @mediator.handles(Ask)
        async def answer(request, repository: Repository, connection: Connection):
            return repository.session.connection is connection

        assert await mediator.send(Ask())
        assert ledger == [
            "open connection",
            "open session",
            "close session",
            "close connection",
        ]

    @pytest.mark.parametrize(
        "register",
        [
            pytest.param(lambda container: None, id="by its class"),
            pytest.param(
                lambda container: container.__setitem__(
                    Repository, lambda c: Repository(c[Session])
                ),
                id="by a function",
            ),
            pytest.param(
                lambda container: container.__setitem__(
                    Repository, lambda: Repository(container[Session])
                ),
                id="by a function without a container",
            ),
        ],
    )
    async def test_deep_inside(self, register):
        """A resource reaches whatever a handler is built from."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)
        register(mediator.container)

        class Handler(RequestHandler[Ask, object]):
            def __init__(self, repository: Repository, session: Session):
                self.shared = repository.session is session

            async def handle(self, request):
                return self.shared

        mediator.bind(Ask, Handler)

        assert await mediator.send(Ask()) is True
        assert ledger == ["open", "close None"]

    async def test_only_by_function(self):
        """A resource that only a registered function asks for is opened as well."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)
        mediator.container[Repository] = lambda c: Repository(c[Session])

        @mediator.handles(Ask)
        async def answer(request, repository: Repository):
            return repository.session

        first = await mediator.send(Ask())
        second = await mediator.send(Ask())

        assert first is not second
        assert ledger == ["open", "close None"] * 2

    async def test_alias(self):
        """Asked for by another name, it is the same resource."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)
        mediator.container[Port] = Session

        @mediator.handles(Ask)
        async def answer(request, session: Session, port: Port):
            return port is session

        assert await mediator.send(Ask())

    async def test_optional(self):
        """Where nothing would do instead, it is still the resource that is given."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)

        @mediator.handles(Ask)
        async def answer(request, session: Session | None = None):
            return session

        assert isinstance(await mediator.send(Ask()), Session)

    def test_nobody_needs_it(self):
        """What needs no resource is built without a scope, although there are some."""
        container = LagomContainer()
        container.scoped(Session, open_async)

        assert isinstance(container.factory(Service)(), Service)

    def test_somebody_may_need_it(self):
        """What a function builds may need one, and is built within a scope."""
        container = LagomContainer()
        container.scoped(Session, open_async)
        container[Users] = lambda: Users(Engine())

        assert isinstance(container.factory(Users), Scoped)

    async def test_first_use(self):
        """A resource that nobody asks for is not opened."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)
        mediator.container[Users] = lambda: Users(Engine())

        @mediator.handles(Ask)
        async def answer(request, users: Users):
            return users

        await mediator.send(Ask())

        assert ledger == []

    async def test_outside_of_a_scope(self):
        """Where it is not open, asking lagom for it says where to ask."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)

        @mediator.handles(Ask)
        async def answer(request):
            return mediator.container[Session]

        with pytest.raises(UnresolvableError, match="parameter of a handler"):
            await mediator.send(Ask())

    @pytest.mark.parametrize(
        "resolver",
        [
            lagom.Singleton(Repository),
            lagom.Singleton(lagom.Singleton(Repository)),
        ],
    )
    def test_singleton(self, resolver):
        """A singleton would keep the resource of the first send, and is refused."""
        container = LagomContainer()
        container.scoped(Session, open_async)
        container[Repository] = resolver

        for find_out in (container.check, container.factory):
            with pytest.raises(
                UnresolvableError, match="Repository is a singleton and needs Session"
            ):
                find_out(Repository)

    def test_singleton_deep_inside(self):
        """The same holds for what a handler is built from."""
        container = LagomContainer()
        container.scoped(Session, open_async)
        container[Repository] = lagom.Singleton(Repository)

        class Handler:
            def __init__(self, repository: Repository): ...

        with pytest.raises(UnresolvableError, match=r"'repository'.*is a singleton"):
            container.check(Handler)

    async def test_middleware(self):
        """A middleware's class is built once for all sends, and refused, too."""

        class Middleware:
            def __init__(self, repository: Repository): ...

            async def __call__(self, request, handle): ...

        mediator = Mediator()
        mediator.container.scoped(Session, open_async)
        mediator.use(Middleware)

        @mediator.handles(Ask)
        async def answer(request): ...

        with pytest.raises(UnresolvableError, match="a middleware lasts"):
            await mediator.send(Ask())
        assert ledger == []

    async def test_not_a_context_manager(self):
        """What cannot be closed is refused, with the remedy."""
        mediator = Mediator()
        mediator.container.scoped(Session, lambda: "session")

        @mediator.handles(Ask)
        async def answer(request, session: Session): ...

        with pytest.raises(UnresolvableError, match="function that yields it"):
            await mediator.send(Ask())

    def test_not_callable(self):
        """What cannot be called is refused when it is declared."""
        with pytest.raises(BindingError, match="Session cannot be opened by 'session'"):
            LagomContainer().scoped(Session, "session")

    def test_registered_already(self):
        """A type that lagom knows already is refused."""
        container = LagomContainer()
        container[Session] = Session()

        with pytest.raises(BindingError, match="Session is registered already"):
            container.scoped(Session, open_async)

    async def test_failure_to_open(self):
        """If a resource cannot be opened, those that are open are told, and closed."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)

        async def open_connection(session: Session):
            raise ConnectionError(session.__class__.__name__)
            yield

        mediator.container.scoped(Connection, open_connection)

        @mediator.handles(Ask)
        async def answer(request, connection: Connection): ...

        with pytest.raises(ConnectionError, match="Session"):
            await mediator.send(Ask())
        assert ledger == ["open", "close ConnectionError('Session')"]

    async def test_swallowing_resource(self):
        """A resource that swallows the failure does not have the others commit."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)

        async def open_connection():
            try:
                yield Connection()
            except ValueError:
                ledger.append("swallow")

        mediator.container.scoped(Connection, open_connection)

        @mediator.handles(Ask)
        async def answer(request, session: Session, connection: Connection):
            raise ValueError(request)

        with pytest.raises(ValueError, match="Ask"):
            await mediator.send(Ask())
        assert ledger == ["open", "swallow", "close ValueError(Ask())"]

    @pytest.mark.parametrize("dependency", [str, int])
    def test_indistinguishable(self, dependency):
        """A type that lagom cannot tell from others is refused, with the remedy."""
        with pytest.raises(BindingError, match="a class of your own"):
            LagomContainer().scoped(dependency, open_async)

    def test_singleton_with_default(self):
        """A singleton that could do without a resource is refused all the same."""

        class Lenient:
            def __init__(self, session: Session | None = None): ...

        container = LagomContainer()
        container.scoped(Session, open_async)
        container[Lenient] = lagom.Singleton(Lenient)

        with pytest.raises(UnresolvableError, match="is a singleton and needs Session"):
            container.check(Lenient)

    async def test_singleton_by_function(self):
        """A singleton whose function asks for a resource is refused, too."""
        mediator = Mediator()
        mediator.container.scoped(Session, open_async)
        mediator.container[Repository] = lagom.Singleton(
            lambda c: Repository(c[Session])
        )

        @mediator.handles(AskWithin)
        async def answer_within(request, repository: Repository): ...

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            await mediator.send(AskWithin())

        with pytest.raises(UnresolvableError, match="parameter of a handler"):
            await mediator.send(Ask())

    async def test_middleware_of_a_nested_send(self):
        """A middleware's class does not keep a resource that is open already."""

        class Middleware:
            def __init__(self, session: Session): ...

            async def __call__(self, request, handle): ...

        mediator = Mediator()
        mediator.container.scoped(Session, open_async)
        mediator.use(Middleware, only=AskWithin)

        @mediator.handles(AskWithin)
        async def answer_within(request): ...

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            await mediator.send(AskWithin())

        with pytest.raises(UnresolvableError, match="a middleware lasts"):
            await mediator.send(Ask())

    async def test_clone(self):
        """A clone opens the resources of the container that it was cloned from."""
        original = lagom.Container()
        LagomContainer.of(original).scoped(Session, open_async)
        mediator = Mediator(container=original.clone())

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            return session

        assert isinstance(await mediator.send(Ask()), Session)
        assert ledger == ["open", "close None"]

    async def test_clone_that_overrides(self):
        """What a clone has instead of a resource is not opened."""
        original = lagom.Container()
        LagomContainer.of(original).scoped(Session, open_async)
        clone = original.clone()
        clone[Session] = session = Session()
        mediator = Mediator(container=clone)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            return session

        assert await mediator.send(Ask()) is session
        assert ledger == []


class TestImplementation:
    def test_registered(self):
        """It is told, without building it, which class is built for another."""
        container = LagomContainer()
        container[Clock] = FakeClock
        container[Users] = lagom.Singleton(InheritedService)
        container[Engine] = Engine()
        container[Meetings] = lambda: None
        built.clear()

        assert container.implementation(Clock) == (FakeClock, False)
        assert container.implementation(Users) == (InheritedService, False)
        assert container.implementation(Engine) == (Engine, True)
        assert built == []

    def test_unknown(self):
        """Of what a function builds, and of what is not registered, nothing is."""
        container = LagomContainer()
        container[Meetings] = lambda: None

        assert container.implementation(Meetings) is None
        assert container.implementation(Clock) is None

    def test_further(self):
        """An alias may lead to another, and even to itself."""
        container = LagomContainer()
        container[Part] = Clock
        container[Clock] = FakeClock
        container[Engine] = Engine
        container[Users] = Meetings
        container[Meetings] = Users

        assert container.implementation(Part) == (FakeClock, False)
        assert container.implementation(Engine) == (Engine, False)
        assert container.implementation(Users)[0] in (Users, Meetings)
