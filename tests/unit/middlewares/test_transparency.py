"""Which middlewares let every failure pass."""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
from contextlib import suppress
from typing import Any

import pytest

from diator.middlewares.base import Handle
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.transparency import is_transparent
from tests.unit.fakes import Retrying, Swallowing


class Seen:
    """Middlewares that can be seen to let every failure pass."""

    async def plain(self, request: Any, handle: Handle) -> Any:
        return await handle(request)

    async def instead(self, request: Any, handle: Handle) -> Any:
        return "answer"

    async def before_and_after(self, request: Any, handle: Handle) -> Any:
        print(request)  # noqa: T201  # it may do what it likes
        answer = await handle(request)
        return [answer]

    async def with_imported(self, request: Any, handle: Handle) -> Any:
        print(asyncio.current_task())  # noqa: T201  # it may do what it likes
        return await handle(request)

    async def with_private(self, request: Any, handle: Handle) -> Any:
        self.__answer = await handle(request)
        return self.__answer

    async def twice(self, request: Any, handle: Handle) -> Any:
        await handle(request)
        return await handle(request)

    async def in_a_loop(self, requests: Any, handle: Handle) -> Any:
        return [await handle(request) for request in requests]

    async def with_finally(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        finally:
            print("done")  # noqa: T201  # it may do what it likes

    async def raising_again(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except ValueError:
            print("failed")  # noqa: T201  # it may do what it likes
            raise

    async def raising_another(self, request: Any, handle: Handle) -> Any:
        try:
            answer = await handle(request)
        except (ValueError, TypeError) as error:
            raise RuntimeError from error
        else:
            return answer

    async def raising_again_from_group(self, request: Any, handle: Handle) -> Any:
        try:
            await handle(request)
        except* ValueError:
            print("failed")  # noqa: T201  # it may do what it likes
            raise


class Hidden:
    """Middlewares that may survive a failure, for all that can be seen."""

    async def swallowing(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except ValueError:
            return None

    async def swallowing_sometimes(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except ValueError as error:
            if not error.args:
                return None
            raise

    async def swallowing_from_group(self, request: Any, handle: Handle) -> Any:
        try:
            await handle(request)
        except* ValueError:
            print("failed")  # noqa: T201  # it may do what it likes

    async def going_on(self, requests: Any, handle: Handle) -> Any:
        for request in requests:
            try:
                await handle(request)
            except ValueError:
                if request:
                    continue
                raise

    async def leaving(self, request: Any, handle: Handle) -> Any:
        while True:
            try:
                await handle(request)
            finally:
                break  # noqa: B012  # the trap is the point

    async def returning(self, request: Any, handle: Handle) -> Any:
        try:
            await handle(request)
        finally:
            return None  # noqa: B012  # the trap is the point

    async def suppressing(self, request: Any, handle: Handle) -> Any:
        with suppress(ValueError):
            return await handle(request)

    async def timing_out(self, request: Any, handle: Handle) -> Any:
        async with asyncio.timeout(1):
            return await handle(request)

    async def in_a_task(self, request: Any, handle: Handle) -> Any:
        return await asyncio.ensure_future(handle(request))

    async def passing_the_rest_on(self, request: Any, handle: Handle) -> Any:
        return await self.swallowing(request, handle)

    async def under_another_name(self, request: Any, handle: Handle) -> Any:
        rest = handle
        return await rest(request)

    async def in_a_function(self, request: Any, handle: Handle) -> Any:
        async def attempt() -> Any:
            return await handle(request)

        return await self.swallowing(request, attempt)  # type: ignore[arg-type]  # read, not run

    async def in_a_lambda(self, request: Any, handle: Handle) -> Any:
        return await self.swallowing(request, lambda message: handle(message))  # noqa: PLW0108  # the point

    async def in_a_generator(self, requests: Any, handle: Handle) -> Any:
        return [answer async for answer in (await handle(one) for one in requests)]

    async def with_any_parameters(self, *given: Any) -> Any:
        request, handle = given
        return await handle(request)

    @functools.lru_cache  # noqa: B019  # any decorator would do
    async def decorated(self, request: Any, handle: Handle) -> Any:
        return await handle(request)


def members(cls: type) -> list[str]:
    return [name for name in vars(cls) if not name.startswith("__")]


class Instance:
    async def __call__(self, request: Any, handle: Handle) -> Any:
        return await handle(request)


class Static:
    @staticmethod
    async def __call__(request: Any, handle: Handle) -> Any:
        return await handle(request)


async def function(request: Any, handle: Handle) -> Any:
    return await handle(request)


async def positional(request: Any, handle: Handle, /) -> Any:
    return await handle(request)


def with_free_variable(answer: str) -> Any:
    async def middleware(request: Any, handle: Handle) -> Any:
        return answer or await handle(request)

    return middleware


class TestIsTransparent:
    def test_positional_only(self):
        """Parameters that are passed by position alone are parameters, too."""
        assert is_transparent(positional)

    @pytest.mark.parametrize("name", members(Seen))
    def test_seen(self, name: str):
        """What plainly lets every failure pass is transparent."""
        assert is_transparent(getattr(Seen(), name))

    @pytest.mark.parametrize("name", members(Hidden))
    def test_hidden(self, name: str):
        """Whatever might survive a failure is not."""
        assert not is_transparent(getattr(Hidden(), name))

    def test_forms(self):
        """Functions, methods and instances are seen through alike."""
        assert is_transparent(function)
        assert is_transparent(Instance())
        assert is_transparent(Seen().plain)
        assert is_transparent(with_free_variable("answer"))

    @pytest.mark.parametrize(
        "middleware",
        [
            functools.partial(function),
            Static(),
            Retrying(),
            Swallowing(),
            EventCollectionMiddleware(),
            print,
        ],
    )
    def test_unusual(self, middleware: Any):
        """What is not plainly seen through counts as not transparent."""
        assert not is_transparent(middleware)

    def test_without_source(self):
        """A function without a source, as in a REPL, is not transparent."""
        namespace: dict[str, Any] = {}
        exec("async def f(request, handle): return await handle(request)", namespace)

        assert not is_transparent(namespace["f"])

    def test_several_on_a_line(self):
        """A function whose source does not stand by itself is not transparent."""
        functions = [lambda request, handle: handle(request)]

        assert not is_transparent(functions[0])

    def test_source_has_changed(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
        """A function whose file has changed since its import is not transparent."""
        module = tmp_path / "module_that_changes.py"
        module.write_text(
            "async def f(request, handle):\n"
            "    try:\n"
            "        return await handle(request)\n"
            "    except ValueError:\n"
            "        return None\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        changing = importlib.import_module(module.stem)
        monkeypatch.delitem(sys.modules, module.stem)

        module.write_text("async def g(other, names):\n    return await names(other)\n")

        assert not is_transparent(changing.f)

    def test_source_was_edited(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
        """Nor is one that would be transparent if its file were imported again."""
        module = tmp_path / "module_that_is_edited.py"
        module.write_text(
            "async def f(request, handle):\n"
            "    try:\n"
            "        return await handle(request)\n"
            "    except ValueError:\n"
            "        return None\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        edited = importlib.import_module(module.stem)
        monkeypatch.delitem(sys.modules, module.stem)

        module.write_text(
            "async def f(request, handle):\n    return await handle(request)\n"
        )

        assert not is_transparent(edited.f)
