"""The adapter to punq finds out beforehand what punq would only tell when building."""

from __future__ import annotations

import punq
import pytest

from diator.container.punq import PunqContainer
from diator.exceptions import UnresolvableError


class Engine:
    pass


class Session:
    def __init__(self, engine: Engine):
        self.engine = engine


class Handler:
    def __init__(self, session: Session, again: Session):
        self.session = session
        self.again = again


class Named:
    def __init__(self, name: str, *others, size: int = 1):
        self.name = name


class Decorator(Engine):
    def __init__(self, engine: Engine):
        self.engine = engine


class Chicken:
    def __init__(self, egg: Egg): ...


class Egg:
    def __init__(self, chicken: Chicken): ...


@pytest.fixture
def container():
    return punq.Container()


class TestFactory:
    def test_shared_within_handler(self, container):
        """As everywhere in punq, one handler is given one of each."""
        container.register(Engine)
        container.register(Session)

        handler = PunqContainer(container).factory(Handler)()

        assert handler.session is handler.again

    def test_all(self, container):
        """A list of a type is all that is registered for it."""
        container.register(Engine)
        container.register(Engine, Decorator)
        adapter = PunqContainer(container)

        adapter.check(list[Session])
        first, _ = PunqContainer(container).factory(list[Engine])()

        assert type(first) is Engine

    def test_auto_register(self):
        """A container that registers by itself does so at any depth."""
        adapter = PunqContainer(punq.Container(auto_register=True))

        assert not adapter.knows(Session)
        assert isinstance(adapter.factory(Handler)().session.engine, Engine)


class TestCheck:
    def test_missing_of_registered(self, container):
        """What a registered class needs is looked for, too."""
        container.register(Session)

        with pytest.raises(
            UnresolvableError,
            match="Session cannot be called: its parameter 'engine': punq has no .*"
            r"Engine: register it with punq\.Container\.register\(Engine, ",
        ):
            PunqContainer(container).check(Handler)

    def test_given(self, container):
        """What was given at registration is not looked for."""
        container.register(Named, name="it")

        assert PunqContainer(container).factory(Named)().name == "it"

    def test_function(self, container):
        """A function with parameters is refused, for punq would not fill them."""

        def make(engine: Engine): ...

        container.register(Engine)
        container.register(Session, make)

        with pytest.raises(
            UnresolvableError, match=r"make .* of its parameter 'engine'"
        ):
            PunqContainer(container).check(Session)

    def test_decorator(self, container):
        """What asks for its own type is given the one registered before."""
        container.register(Engine)
        container.register(Engine, Decorator)

        built = PunqContainer(container).factory(Engine)()

        assert type(built.engine) is Engine

    def test_decorator_of_nothing(self, container):
        """Where none was registered before, that is told."""
        container.register(Engine, Decorator)

        with pytest.raises(UnresolvableError, match="no more registrations of Engine"):
            PunqContainer(container).check(Engine)

    @pytest.mark.parametrize("auto_register", [False, True])
    def test_circle(self, auto_register):
        """A circle ends."""
        container = punq.Container(auto_register=auto_register)
        if not auto_register:
            container.register("Egg", Egg)
            container.register("Chicken", Chicken)
            container.register(Egg)
            container.register(Chicken)

        with pytest.raises(UnresolvableError, match="of Chicken"):
            PunqContainer(container).check(Chicken)
