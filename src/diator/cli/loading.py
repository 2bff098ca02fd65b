"""Find what a command is about in the modules of an application."""

from __future__ import annotations

import importlib
import inspect
import sys
from contextlib import asynccontextmanager, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diator.exceptions import ConfigurationError, DiatorError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable

ALIKE = 0.75
"""How much of two names is to be alike: of the usual 0.6, one word may be enough."""

NOT_FOUND = 2
"""What commands end with where there is nothing to look at, as for wrong options."""

SERVICES = {
    ("diator.outbox.relay", "Relay"): "relay",
    ("diator.consumer.consumer", "Consumer"): "consume",
}
"""The commands for diator's services, by name: SQLAlchemy may not be installed."""


def load(target: str) -> Any:
    """
    Import what a name like `package.module:attribute` stands for.

    Modules of the working directory are found, too.

    Raises:
        ConfigurationError: There is no such module, or it has no such attribute.

    """
    module_name, separator, path = target.partition(":")
    if not (module_name and separator and path):
        msg = f"{target!r} is not a place: write package.module:attribute"
        raise ConfigurationError(msg)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # What the module itself imports in vain is for its author to see.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        msg = f"there is no module {error.name!r} in {here} or on the Python path"
        raise ConfigurationError(msg) from None
    for name in path.split("."):
        if not hasattr(found, name):
            msg = f"{module_name} has no {path!r}: {name!r} is missing"
            msg += did_you_mean(name, dir(found))
            raise ConfigurationError(msg)
        found = getattr(found, name)
    return found


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Give a question that names those which are close to a name, if any are."""
    close = get_close_matches(name, list(names), cutoff=ALIKE)
    return f"; did you mean {' or '.join(close)}?" if close else ""


@contextmanager
def failing_clearly() -> Generator[None]:
    """End the program with the reason where there is nothing to look at."""
    try:
        yield
    except (DiatorError, ImportError, ConnectionError) as error:
        print(f"diator: {error}", file=sys.stderr)  # noqa: T201  # for people
        sys.exit(NOT_FOUND)


@asynccontextmanager
async def opened(
    found: Any, *methods: str, wanted: str = "the object"
) -> AsyncGenerator[Any]:
    """
    Give the object that an attribute stands for, for as long as the context lasts.

    Args:
        found: The object itself, or a function without parameters that returns it, or
            that returns an async context manager which opens and closes it.
        methods: What the object must be able to do; of names with a `|` between them,
            one.
        wanted: What to name, for people who named something else.

    Raises:
        ConfigurationError: It is something else.

    """
    if not _has(found, methods) and callable(found):
        _check_parameters(found, wanted)
        found = found()
        if inspect.isawaitable(found):
            found = await found
    if _has(found, methods):
        yield found
    # To enter a service would be to run it.
    elif hasattr(found, "__aenter__") and command_of(found) is None:
        async with found as entered:
            yield _checked(entered, methods, wanted)
    else:
        yield _checked(found, methods, wanted)


def check_command(service: Any, command: str) -> None:
    """
    Refuse to run a relay as a consumer, or a consumer as a relay.

    Raises:
        ConfigurationError: It is the service of another command.

    """
    right = command_of(service)
    if right not in (None, command):
        msg = f"this is a {type(service).__name__}: use `diator {right}`"
        raise ConfigurationError(msg)


def command_of(found: Any) -> str | None:
    """Give the command for one of diator's services, None for other things."""
    for of_type in type(found).__mro__:
        command = SERVICES.get((of_type.__module__, of_type.__qualname__))
        if command is not None:
            return command
    return None


def _check_parameters(function: Any, wanted: str) -> None:
    """Refuse what cannot be called without arguments, which nobody gives."""
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        name = qualified_name(function)
        msg = (
            f"{name} is called without arguments, and is {error}: name {wanted}, or "
            "a function without parameters that makes it"
        )
        raise ConfigurationError(msg) from error
    except ValueError:
        # Some of what is written in C does not tell.
        return


def _has(found: Any, methods: tuple[str, ...]) -> bool:
    # A class has the methods of its instances, but is none.
    return not isinstance(found, type) and not _missing(found, methods)


def _missing(found: Any, methods: tuple[str, ...]) -> list[str]:
    return [
        names
        for names in methods
        if not any(hasattr(found, name) for name in names.split("|"))
    ]


def _checked(found: Any, methods: tuple[str, ...], wanted: str) -> Any:
    if _has(found, methods):
        return found
    missing = ", ".join(_missing(found, methods)).replace("|", " or ")
    # Not by its repr, which may be long, or have secrets in it.
    kind = type(found).__name__
    told = "None" if found is None else f"an object of the type {kind}"
    msg = (
        f"{told} is not what this command is for: it has no {missing}; name "
        f"{wanted}, a function that makes it, or one that returns an async context "
        "manager"
    )
    raise ConfigurationError(msg)
