"""Give a context variable a value for as long as something runs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

T = TypeVar("T")


class Setting(Generic[T]):
    """
    A context in which a context variable has another value.

    A class, because a generator with `@contextmanager` costs more than twice as much.

    Args:
        variable: The variable.
        value: Its value inside.

    """

    __slots__ = ("_token", "_value", "_variable")

    _token: Token[T]

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable = variable
        self._value = value

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._variable.reset(self._token)
