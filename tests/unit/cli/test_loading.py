"""What a command finds in the modules of an application."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from diator import Mediator
from diator.cli.loading import load, opened
from diator.consumer.consumer import Consumer
from diator.exceptions import ConfigurationError
from tests.unit.consumer.fake_broker import FakeBroker


class Runner:
    async def run(self):
        pass


RUNNER = Runner()


async def make_later():
    return RUNNER


async def opening(found):
    async with opened(found, "run") as runner:
        return runner


@pytest.fixture
def app_module(tmp_path, monkeypatch):
    """Return the name of a module in the working directory."""
    (tmp_path / "some_app.py").write_text("class A:\n    b = 'found'\n")
    (tmp_path / "broken_app.py").write_text("import nothing_of_this_name\n")
    monkeypatch.chdir(tmp_path)
    # What is put on the path, and imported, is gone after the test.
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    return "some_app"


class TestLoad:
    def test_working_directory(self, app_module):
        """A module of the working directory is found, and what is inside."""
        assert load(f"{app_module}:A.b") == "found"

    @pytest.mark.parametrize("target", ["app", "app:", ":app", ""])
    def test_no_place(self, target):
        """What is not written as a place is told so."""
        with pytest.raises(
            ConfigurationError, match=r"write package\.module:attribute"
        ):
            load(target)

    @pytest.mark.parametrize("target", ["no_such:x", "no_such.module:x"])
    def test_no_module(self, target):
        """A module that is not there is named."""
        with pytest.raises(ConfigurationError, match="there is no module 'no_such'"):
            load(target)

    def test_no_attribute(self, app_module):
        """An attribute that is not there is named."""
        with pytest.raises(ConfigurationError, match=r"'A\.c': 'c' is missing"):
            load(f"{app_module}:A.c")

    def test_broken_module(self, app_module):
        """What a module imports in vain is raised as it is."""
        with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
            load("broken_app:x")


class TestOpened:
    async def test_object(self):
        """The object itself is taken as it is."""
        assert await opening(RUNNER) is RUNNER

    async def test_function(self):
        """A function is called, and awaited if it is async."""
        assert await opening(lambda: RUNNER) is RUNNER
        assert await opening(make_later) is RUNNER

    async def test_class(self):
        """A class is called, and not taken for its instance."""
        assert isinstance(await opening(Runner), Runner)

    async def test_context_manager(self):
        """A context manager is open for as long as the object is used."""
        steps = []

        @asynccontextmanager
        async def manage():
            steps.append("opened")
            yield RUNNER
            steps.append("closed")

        async with opened(manage, "run") as runner:
            steps.append(runner)

        assert steps == ["opened", RUNNER, "closed"]

    async def test_service(self):
        """A service of diator's is not entered, which would run it."""
        consumer = Consumer(Mediator(), FakeBroker(), group="mail")

        with pytest.raises(ConfigurationError, match="of the type Consumer is not"):
            async with opened(consumer, "publish"):
                pass  # pragma: no cover

        assert not (await consumer.health())["running"]

    async def test_parameters(self):
        """A function that needs arguments is told which, and not called."""

        def make(runner, /, *, number): ...

        with pytest.raises(
            ConfigurationError,
            match=r"make is called without arguments, and .*'runner': name the object",
        ):
            await opening(make)

    async def test_no_signature(self):
        """What does not tell its parameters is called."""
        with pytest.raises(ConfigurationError, match="of the type dict is not what"):
            await opening(dict)

    async def test_none(self):
        """A function that returns nothing is told so."""
        with pytest.raises(ConfigurationError, match=r"^None is not what this"):
            await opening(lambda: None)

    @pytest.mark.parametrize("found", [7, lambda: 7, None])
    async def test_something_else(self, found):
        """What cannot do what is needed is refused."""
        with pytest.raises(ConfigurationError, match="it has no run; name the object"):
            await opening(found)

    async def test_context_manager_of_something_else(self):
        """What a context manager gives has to be able to do it, too."""

        @asynccontextmanager
        async def manage():
            yield 7

        with pytest.raises(
            ConfigurationError, match="object of the type int is not what"
        ):
            await opening(manage)
