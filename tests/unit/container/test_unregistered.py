"""A class that is not registered is built from what is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import punq
import pytest
import svcs

from diator.container.protocol import Scoped
from diator.container.punq import PunqContainer
from diator.container.svcs import SvcsContainer
from diator.exceptions import UnresolvableError


class Engine:
    pass


class Chicken:
    def __init__(self, egg: Egg): ...


class Egg:
    def __init__(self, chicken: Chicken): ...


class Abstract(ABC):
    @abstractmethod
    def work(self): ...


class Shape(Protocol):
    pass


class Colour(Enum):
    RED = 1


class Inner:
    def __init__(self, engine: Engine):
        self.engine = engine


class Outer:
    def __init__(self, inner: Inner, *, number: int = 7):
        self.inner = inner
        self.number = number


@pytest.fixture
def registry():
    return svcs.Registry()


@pytest.fixture
def container(registry):
    return SvcsContainer(registry)


async def build(container: SvcsContainer, dependency: type) -> Any:
    factory = container.factory(dependency)
    if not isinstance(factory, Scoped):
        return factory()
    async with container.scope() as opened:
        return await factory.build(opened)


class TestFactory:
    async def test_nested(self, container, registry):
        """What it needs may be unregistered, too; defaults are kept."""
        registry.register_value(Engine, engine := Engine())

        built = await build(container, Outer)

        assert built.inner.engine is engine
        assert built.number == 7

    async def test_nothing_registered(self, container):
        """Without anything registered no scope is needed."""
        assert not isinstance(container.factory(Outer), Scoped)
        assert isinstance(await build(container, Outer), Outer)

    def test_lasts(self, container, registry):
        """It lasts as long as all that it is built from."""
        registry.register_value(Engine, Engine())
        assert container.factory(Outer).lasts

        registry.register_factory(Engine, Engine)
        assert not container.factory(Outer).lasts


class TestRefused:
    @pytest.mark.parametrize(
        "dependency, fault",
        [
            (Abstract, "Abstract .* is abstract"),
            (Shape, "Shape .* is abstract"),
            (Colour, "Colour .* several members"),
            (str, "str .* Python's own"),
            (Path, "Path .* Python's own"),
            (datetime, "datetime .* Python's own"),
            (list[int], r"list\[int\] .* not a class"),
            (Engine | None, r"Engine \| None .* not a class"),
        ],
    )
    def test_unbuildable(self, container, dependency, fault):
        """What cannot be built is told with the reason and the remedy."""
        for find_out in (container.check, container.factory):
            with pytest.raises(UnresolvableError, match=fault) as caught:
                find_out(dependency)
            assert "svcs.Registry.register_factory(" in str(caught.value)

    def test_circle(self, container):
        """A circle is shown, instead of followed for ever."""
        with pytest.raises(UnresolvableError, match="Chicken → Egg → Chicken"):
            container.check(Chicken)

    def test_registered_ends_circle(self, container, registry):
        """What is registered is not looked into."""
        registry.register_value(Egg, object())

        container.check(Chicken)

    def test_same_refusals(self):
        """A container with a way of its own refuses the same."""
        with pytest.raises(
            UnresolvableError, match=r"register it with punq\.Container"
        ):
            PunqContainer(punq.Container()).check(Abstract)
