"""Whatever a user means by a container, the mediator finds an adapter to it."""

from __future__ import annotations

import subprocess
import sys

import lagom
import pytest
from dishka import make_async_container

from diator import EventEmitter, Mediator
from diator.container.default import adapted
from diator.container.dishka import DishkaContainer
from diator.container.lagom import LagomContainer
from diator.exceptions import ConfigurationError


class Minimal:
    """An adapter of a user's own."""

    def check(self, dependency, /): ...

    def knows(self, dependency, /): ...

    def factory(self, dependency, /): ...

    def scope(self): ...


class TestAdapted:
    def test_nothing(self):
        """Without a container there is a new one of lagom."""
        first, second = adapted(None), adapted(None)

        assert isinstance(first, LagomContainer)
        assert first is not second

    @pytest.mark.parametrize(
        "make",
        [lagom.Container, lagom.ExplicitContainer],
    )
    def test_lagom(self, make):
        """A plain lagom container is adapted, and always by the same adapter."""
        container = make()

        assert adapted(container).container is container
        assert adapted(container) is adapted(container)

    @pytest.mark.parametrize(
        "make",
        [
            Minimal,
            LagomContainer,
            lambda: DishkaContainer(make_async_container()),
        ],
        ids=["a user's own", "lagom", "dishka"],
    )
    def test_adapter(self, make):
        """An adapter is taken as it is."""
        container = make()

        assert adapted(container) is container

    @pytest.mark.parametrize("nonsense", [{}, "container", 0, make_async_container()])
    def test_nonsense(self, nonsense):
        """Anything else is refused, and told what would do."""
        with pytest.raises(
            ConfigurationError, match=r"LagomContainer|lagom\.Container"
        ):
            adapted(nonsense)

    @pytest.mark.parametrize("adapter", [LagomContainer, DishkaContainer])
    def test_class_instead_of_instance(self, adapter):
        """So is the class of an adapter."""
        with pytest.raises(ConfigurationError):
            adapted(adapter)

    def test_shared(self):
        """A mediator and an emitter with one lagom container share one adapter."""
        container = lagom.Container()
        emitter = EventEmitter(container=container)
        mediator = Mediator(container=container, event_emitter=emitter)

        assert mediator.container is emitter.container

    def test_unloaded(self):
        """Who brings another container does not have lagom loaded."""
        program = """
import sys
from diator import Mediator

class Minimal:
    check = factory = knows = scope = None

Mediator(container=Minimal())
assert "lagom" not in sys.modules
assert "dishka" not in sys.modules
Mediator()
assert "lagom" in sys.modules
"""
        subprocess.run([sys.executable, "-c", program], check=True)
