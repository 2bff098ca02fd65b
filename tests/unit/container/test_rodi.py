"""The adapter to rodi tells of rodi's errors as of ours."""

from __future__ import annotations

import pytest
import rodi

from diator.container.rodi import RodiContainer
from diator.exceptions import UnresolvableError


class Engine:
    pass


class Session:
    def __init__(self, engine: Engine): ...


class TestCheck:
    def test_registered_in_vain(self):
        """What is registered and cannot be built is named."""
        container = rodi.Container()
        container.add_scoped(Session)

        with pytest.raises(UnresolvableError, match=r"'engine'.*Session"):
            RodiContainer(container).check(Session)

    def test_registered_later(self):
        """What is registered later counts."""
        container = rodi.Container()
        adapter = RodiContainer(container)
        adapter.check(Session)

        assert not adapter.knows(Engine)
        container.add_instance(engine := Engine())
        assert adapter.factory(Engine)() is engine
