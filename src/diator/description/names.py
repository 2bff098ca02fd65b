"""What the names in a function's source stand for, found without running anything."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from types import ModuleType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union, get_args, get_origin

from diator.description.source import undecorated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from diator.description.source import Function, Sources


class Names:
    """
    The names in a function, and the types of what they hold, as far as they tell.

    Args:
        function: The function.
        tree: What it was compiled from.
        owner: The class whose method it is, None for other functions.
        types: What is known of classes.

    Attributes:
        self: What the method calls its instance, None in other functions.

    """

    def __init__(
        self, function: Any, tree: Function, owner: type | None, types: Types
    ) -> None:
        self._function = undecorated(function)
        self._owner = owner
        self._types = types
        self._known = _names_around(self._function)
        self._local: set[str] = set()
        self._types_of_local: dict[str, type] = {}
        self._made: dict[str, list[ast.expr]] = {}
        arguments = [
            *tree.args.posonlyargs,
            *tree.args.args,
            *tree.args.kwonlyargs,
        ]
        self._local |= {argument.arg for argument in arguments}
        for argument in arguments:
            self._hold(argument.arg, self.annotated(argument.annotation))
        self.self = arguments[0].arg if arguments and owner is not None else None
        if self.self is not None:
            self._hold(self.self, owner)
        for node in in_order(tree):
            self._look_at(node)

    def named(self, node: ast.AST | None) -> Any:
        """Give the module, class or function that an expression names, else None."""
        if isinstance(node, ast.Name):
            return None if node.id in self._local else self._known.get(node.id)
        if isinstance(node, ast.Attribute):
            return member(self.named(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            return self.named(node.value)
        return None

    def class_of(self, node: ast.AST | None) -> type | None:
        """Give the class of an expression's value, None where nothing says."""
        found: type | None = None
        match node:
            case ast.Name(id=name) if name in self._local:
                found = self._types_of_local.get(name)
            case ast.Name(id=name):
                # An object of a module, such as a repository that it shares.
                found = _type_of_object(self._known.get(name))
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                found = self.class_of(value)
            case ast.IfExp(body=body, orelse=otherwise):
                found = self.class_of(body) or self.class_of(otherwise)
            case ast.Attribute(value=value, attr=name):
                found = self._types.attribute(self.class_of(value), name)
            case ast.Call():
                called, _ = self.called(node)
                found = (
                    called if inspect.isclass(called) else self._types.answer(called)
                )
            case _:
                pass
        return found

    def called(self, node: ast.Call) -> tuple[Any, type | None]:
        """Give what a call calls, and the class whose method it is, if it is one."""
        if self._is_own_class(node.func):
            return self._owner, self._owner
        named = self.named(node.func)
        if named is not None:
            owner = None
            if isinstance(node.func, ast.Attribute):
                around = self.named(node.func.value)
                owner = around if inspect.isclass(around) else None
            return named, owner
        if isinstance(node.func, ast.Attribute):
            if _is_super(node.func.value):
                return self._inherited(node.func.attr), self._owner
            of = self.class_of(node.func.value)
            if of is not None:
                of = self._types.built(of)
                return member(of, node.func.attr), of
        return None, None

    def held(self, node: ast.expr) -> list[ast.expr]:
        """Give what a local name was set to, or else the expression itself."""
        if isinstance(node, ast.Name) and node.id in self._made:
            return self._made[node.id]
        return [node]

    def annotated(self, annotation: ast.AST | None) -> Any:
        """Give the class that an annotation names, None where it names none."""
        return class_named(annotation, self.named)

    def _is_own_class(self, node: ast.AST) -> bool:
        """Tell whether an expression is the `cls` of a class method."""
        return (
            isinstance(node, ast.Name)
            and node.id == self.self
            and any(isinstance(each, classmethod) for _, each in self._declarations())
        )

    def _inherited(self, name: str) -> Any:
        """Give the method that `super()` leads to."""
        own = {ancestor for ancestor, _ in self._declarations()}
        further = False
        for ancestor in self._owner.__mro__ if self._owner else ():
            if further and name in vars(ancestor):
                return vars(ancestor)[name]
            further |= ancestor in own
        return None

    def _declarations(self) -> list[tuple[type, Any]]:
        """Give the class that declares this function, with what it declares it as."""
        name = self._function.__name__
        declared = [
            (ancestor, vars(ancestor).get(name))
            for ancestor in (self._owner.__mro__ if self._owner else ())
        ]
        return [each for each in declared if undecorated(each[1]) is self._function]

    def _look_at(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._known.update(_imported(node))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, ast.AnnAssign):
            if self.class_of(node.value) is not None:
                # It may say more than the annotation.
                self._assign(node.target, node.value)
            elif isinstance(node.target, ast.Name):
                self._hold(node.target.id, self.annotated(node.annotation))
                self._local.add(node.target.id)
        elif isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self._local.add(node.id)

    def _assign(self, target: ast.AST, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name) and value is not None:
            self._hold(target.id, self.class_of(value))
            self._local.add(target.id)
            self._made.setdefault(target.id, []).append(value)

    def _hold(self, name: str, held: Any) -> None:
        if inspect.isclass(held):
            self._types_of_local[name] = held


class Types:
    """
    What classes and functions say of the types of their attributes and answers.

    Args:
        sources: Where their source is.
        implementation: Gives the class that is built for a type, None if unknown.

    """

    def __init__(
        self, sources: Sources, implementation: Callable[[type], type | None]
    ) -> None:
        self._sources = sources
        self._implementation = implementation
        self._attributes: dict[tuple[type, str], type | None] = {}

    def built(self, of: type) -> type:
        """Give the class that is built for a type, which may be the type itself."""
        return self._implementation(of) or of

    def attribute(self, of: type | None, name: str) -> type | None:
        """Give the class of an attribute, None where nothing says."""
        if of is None:
            return None
        key = self.built(of), name
        if key not in self._attributes:
            # Whoever asks again on the way here is answered, too.
            self._attributes[key] = None
            self._attributes[key] = self._find_attribute(*key)
        return self._attributes[key]

    def answer(self, function: Any) -> type | None:
        """Give the class of what a function returns, None where nothing says."""
        annotation = getattr(undecorated(function), "__annotations__", {}).get("return")
        return class_of(annotation, _names_around(undecorated(function)))

    def _find_attribute(self, of: type, name: str) -> type | None:
        for ancestor in of.__mro__:
            annotations = inspect.get_annotations(ancestor)
            if name in annotations:
                module = sys.modules.get(ancestor.__module__)
                return class_of(annotations[name], vars(module) if module else {})
            declared = vars(ancestor).get(name)
            if isinstance(declared, property):
                return self.answer(declared.fget)
            init = vars(ancestor).get("__init__")
            tree = self._sources.function(init) if init is not None else None
            if tree is not None:
                found = self._assigned(init, tree, ancestor, name)
                if found is not None:
                    return found
        return None

    def _assigned(self, init: Any, tree: Function, of: type, name: str) -> type | None:
        """Give the class of what an `__init__` sets an attribute to."""
        names = Names(init, tree, of, self)
        for node in in_order(tree):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign):
                targets = [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == name:
                    annotation = getattr(node, "annotation", None)
                    found = names.annotated(annotation) or names.class_of(node.value)  # type: ignore[attr-defined]  # both have one
                    return found if inspect.isclass(found) else None
        return None


def in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Give what is inside a node, in the order of the source."""
    for child in ast.iter_child_nodes(node):
        yield child
        yield from in_order(child)


def member(of: Any, name: str) -> Any:
    """Give a member of a module or a class as it was declared."""
    if isinstance(of, ModuleType):
        submodule = sys.modules.get(f"{of.__name__}.{name}")
        return vars(of).get(name, submodule)
    if inspect.isclass(of):
        for ancestor in of.__mro__:
            if name in vars(ancestor):
                found = vars(ancestor)[name]
                return getattr(found, "__func__", found)
    return None


def class_of(annotation: Any, names: Mapping[str, Any]) -> type | None:
    """Give the class that an annotation names, None where it names none."""
    if isinstance(annotation, str):
        return class_named(_parsed(annotation), lambda node: _named(node, names))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return class_of(arguments[0], names)
    if origin in (Union, UnionType):
        found = (class_of(argument, names) for argument in arguments)
        return next((each for each in found if each not in (None, type(None))), None)
    # Since 3.11, `Any` is a class, too.
    found_class: Any = None if annotation is Any else origin or annotation
    return found_class if inspect.isclass(found_class) else None


def class_named(node: ast.AST | None, find: Callable[[ast.AST], Any]) -> type | None:
    """Give the class that the source of an annotation names, None for others."""
    found: type | None = None
    match node:
        case ast.Constant(value=str(annotation)):
            found = class_named(_parsed(annotation), find)
        case ast.BinOp(left=left, right=right):
            found = class_named(left, find) or class_named(right, find)
        case ast.Subscript(value=value, slice=inner):
            base = find(value)
            if base in (Annotated, Union, Optional):
                first = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
                found = class_named(first, find)
            else:
                found = class_of(base, {})
        case ast.Name() | ast.Attribute():
            found = class_of(find(node), {})
        case _:
            pass
    return found


def _parsed(annotation: str) -> ast.AST | None:
    try:
        return ast.parse(annotation, mode="eval").body
    except SyntaxError:
        return None


def _named(node: ast.AST, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return member(_named(node.value, names), node.attr)
    return None


def _names_around(function: Any) -> dict[str, Any]:
    """Give what a function finds around it: global names and enclosing ones."""
    names = {**vars(builtins), **getattr(function, "__globals__", {})}
    code = getattr(function, "__code__", None)
    for name, cell in zip(
        getattr(code, "co_freevars", ()),
        getattr(function, "__closure__", None) or (),
        strict=False,
    ):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            # It is set only later.
            names.pop(name, None)
    return names


def _is_super(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "super"
    )


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Any]]:
    """Give what an import inside a function imports, if it has been imported before."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            top = alias.name.partition(".")[0]
            name = alias.name if alias.asname else top
            yield alias.asname or top, sys.modules.get(name)
        else:
            # A relative one is not found, for its package is not known here.
            module = None if node.level else sys.modules.get(node.module or "")
            yield alias.asname or alias.name, member(module, alias.name)


def _type_of_object(found: Any) -> type | None:
    if found is None or inspect.isclass(found) or isinstance(found, ModuleType):
        return None
    return None if inspect.isroutine(found) else found.__class__
