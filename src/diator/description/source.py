"""Where the source of things is: each file is parsed once, and nothing is run."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
from pathlib import Path
from types import CodeType, MethodType
from typing import Any, cast

from diator.description.model import Place
from diator.handler import module_of

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Sources:
    """The source files of an application, as far as there are any."""

    def __init__(self) -> None:
        self._functions: dict[str, dict[int, Function]] = {}
        self._classes: dict[str, dict[str, ast.ClassDef]] = {}
        self._here = Path.cwd()

    def function(self, function: Any) -> Function | None:
        """Give what a function was compiled from, None if that cannot be read."""
        code = code_of(function)
        if code is None:
            return None
        self._parse(code.co_filename)
        found = self._functions[code.co_filename].get(code.co_firstlineno)
        # The file may have changed since it was imported.
        if found is None or found.name != code.co_name:
            return None
        return found

    def place(self, thing: Any) -> Place:
        """Tell where a class, a function, or the class of an instance is defined."""
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            thing = thing.__class__
        module = module_of(thing)
        code = None if inspect.isclass(thing) else code_of(thing)
        if code is not None:
            file: Any = code.co_filename
            found: ast.AST | None = self.function(thing)
        else:
            file = getattr(sys.modules.get(module), "__file__", None)
            found = None
            if file is not None:
                self._parse(file)
                found = self._classes[file].get(thing.__qualname__)
        line = getattr(found, "lineno", None)
        return Place(module=module, file=self._told(file, module), line=line)

    def place_in(self, function: Any, node: ast.AST) -> Place:
        """Tell where a node of a function's source is."""
        place = self.place(function)
        line: int = getattr(node, "lineno", 0)
        return Place(module=place.module, file=place.file, line=line)

    def _parse(self, file: str) -> None:
        if file in self._functions:
            return
        functions: dict[int, Function] = {}
        classes: dict[str, ast.ClassDef] = {}
        self._functions[file], self._classes[file] = functions, classes
        try:
            tree = ast.parse("".join(linecache.getlines(file)))
        except (SyntaxError, ValueError):
            return
        # Beside each node, the name that what it defines begins with.
        waiting: list[tuple[ast.AST, str]] = [(tree, "")]
        for node, prefix in waiting:
            inside = prefix
            if isinstance(node, Function):
                # Compiled, a function begins with its decorators.
                first = node.decorator_list[0] if node.decorator_list else node
                functions[first.lineno] = node
                inside = f"{prefix}{node.name}.<locals>."
            elif isinstance(node, ast.ClassDef):
                # Of several of a name, the last one is what the name stands for.
                classes[f"{prefix}{node.name}"] = node
                inside = f"{prefix}{node.name}."
            waiting += [(child, inside) for child in ast.iter_child_nodes(node)]

    def _told(self, file: str | None, module: str) -> str | None:
        """Give a file as seen from here, or from where its module is imported."""
        if file is None or file.startswith("<"):
            return None
        path = Path(file)
        if path.is_relative_to(self._here) and "site-packages" not in path.parts:
            return path.relative_to(self._here).as_posix()
        depth = module.count(".") + (2 if path.name == "__init__.py" else 1)
        return Path(*path.parts[-depth:]).as_posix()


def code_of(function: Any) -> CodeType | None:
    """Give what a function was compiled to, None for what is not written in Python."""
    function = undecorated(function)
    return function.__code__ if inspect.isfunction(function) else None


def undecorated(function: Any) -> Any:
    """Give the function below decorators and partial applications."""
    below: Any = _below(function)
    while below is not None:
        function = below
        below = _below(function)
    return function


def _below(function: Any) -> Any:
    # None but these are asked: of a mock, everything is one more mock.
    if isinstance(function, functools.partial):
        return cast("Any", function).func
    if isinstance(function, (staticmethod, classmethod, MethodType)):
        return cast("Any", function).__func__
    return vars(function).get("__wrapped__") if inspect.isfunction(function) else None
