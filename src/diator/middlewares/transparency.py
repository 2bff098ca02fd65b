"""Which middlewares let every failure pass, so that it fails the send as well."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from types import CodeType
from typing import TYPE_CHECKING, Any

from diator.events.collector import attempt
from diator.middlewares.base import call_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.middlewares.base import Handle

# What may catch a failure, or call the rest of the chain in a frame of its own.
_CATCHING = (
    ast.With,
    ast.AsyncWith,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.GeneratorExp,
)


def guarded(middleware: Any, handle: Handle) -> Handle:
    """
    Give what a middleware may call, so that failed attempts leave no events behind.

    A middleware that may survive the failure of an attempt calls it with a collector
    of its own. The others fail with their attempt, up to the next such middleware or
    to the send, where the events are dropped, and need not pay for it.
    """
    return handle if is_transparent(middleware) else attempt(handle)


def is_transparent(middleware: Any) -> bool:
    """
    Tell whether a failure of the rest of the chain is always the middleware's own.

    Each attempt that fails loses its events. Where a middleware may survive the
    failure of an attempt (by an `except`, a `with`, a task), the attempt needs a
    collector of its own, which costs about as much as three middlewares. Most do
    nothing of the kind: their source shows them to `await` the rest of the chain in
    their own frame and to catch nothing for good. Whatever is not plainly so counts as
    not transparent.

    Args:
        middleware: An async callable.

    """
    call = call_of(middleware)
    code = getattr(getattr(call, "__func__", call), "__code__", None)
    # The rest of the chain is the second parameter, or the third behind `self`.
    return code is not None and _is_transparent(
        code, 2 if inspect.ismethod(call) else 1
    )


@cache
def _is_transparent(code: CodeType, handle_index: int) -> bool:
    function = _definition(code)
    if function is None:
        return False
    arguments = [*function.args.posonlyargs, *function.args.args]
    parameters = [argument.arg for argument in arguments]
    if len(parameters) <= handle_index:
        return False
    handle = parameters[handle_index]
    awaited = {
        node.value.func
        for node in ast.walk(function)
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call)
    }
    return all(
        _passes_failures(node)
        and not (
            isinstance(node, ast.Name) and node.id == handle and node not in awaited
        )
        for node in ast.walk(function)
        if node is not function
    )


def _definition(code: CodeType) -> ast.AsyncFunctionDef | None:
    """Give what an async function was compiled from, without decorators if at all."""
    try:
        lines, _ = inspect.findsource(code)
        module = ast.parse("".join(lines))
        # As a whole, because what a function is compiled to depends on what is around
        # it: which names are imported, for one.
        compiled = compile(module, code.co_filename, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return None
    if not any(_is_same(code, other) for other in _codes(compiled)):
        # The file has changed since it was imported.
        return None
    definitions = (
        node
        for node in ast.walk(module)
        if isinstance(node, ast.AsyncFunctionDef) and node.name == code.co_name
    )
    # A decorated one begins with its decorators, but stands where `async def` is.
    return next(
        (node for node in definitions if node.lineno == code.co_firstlineno), None
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Give the code objects that are defined in one, at any depth."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from _codes(const)


def _is_same(code: CodeType, other: CodeType) -> bool:
    return all(
        getattr(code, part) == getattr(other, part)
        for part in (
            "co_code",
            "co_firstlineno",
            "co_names",
            "co_qualname",
            "co_varnames",
        )
    )


def _passes_failures(node: ast.AST) -> bool:
    if isinstance(node, _CATCHING):
        return False
    if isinstance(node, (ast.Try, ast.TryStar)):
        return all(
            isinstance(handler.body[-1], ast.Raise) and not _leaves(handler.body)
            for handler in node.handlers
        ) and not _leaves(node.finalbody)
    return True


def _leaves(statements: list[ast.stmt]) -> bool:
    """Tell whether a block may be left in another way than by its end."""
    return any(
        isinstance(node, (ast.Return, ast.Break, ast.Continue))
        for statement in statements
        for node in ast.walk(statement)
    )
