"""Refuse what the caller may not do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from diator.exceptions import AuthorisationError, BindingError
from diator.middlewares.base import Handle
from diator.middlewares.roles import Injected
from diator.middlewares.rules import Rules
from diator.requests.post import PostCommand

Req = TypeVar("Req")
Asked = TypeVar("Asked", contravariant=True)  # noqa: PLC0105  # as elsewhere
P = ParamSpec("P")

Verdict = bool | str | Awaitable[bool | str]
"""What a policy answers: True allows, False refuses, and so does a sentence, why."""

Answer = TypeVar("Answer", bound=Verdict)


class Policy(Protocol[Asked]):
    """Says whether requests of a type may be handled."""

    def allows(self, request: Asked, /) -> Verdict:
        """Answer True, or False, or a sentence that says why not. It may be async."""
        ...


class AuthorisationMiddleware:
    """
    Refuse a request unless all policies for it allow it.

    They are those bound to its type or to a base of it, and are asked in the order of
    binding until one refuses. A request that no policy is for is refused as well, so
    that a forgotten one is found by who tries, and not by who should not have: bind a
    policy that always answers True to what anybody may do, or leave it out with
    `only=`. Nothing but True allows; None, which a policy answers that forgot to, is
    an error.

    Who the caller is, the application knows: a policy asks for it as a parameter, such
    as a dependency that reads a context variable or the current HTTP request. Nested
    sends are asked about as well. A command that is posted is asked about when it is
    posted, and again by whoever consumes it. A stream is, before its first item.

    It is for requests. An event tells of what has happened already.
    """

    def __init__(self) -> None:
        self._rules = Rules("policy", method="allows", verb="decide")
        self._policies = cache(self._rules.of)

    def bind(
        self,
        request_type: type[Req],
        policy: type[Policy[Req]]
        # Of the two, mypy knows by the first alone what a lambda takes.
        | Callable[[Req], Verdict]
        | Callable[Concatenate[Req, ...], Verdict],
    ) -> None:
        """
        Have a policy decide about the requests of a type and of those derived from it.

        Args:
            request_type: The type.
            policy: A class with a method `allows`, which the container builds for each
                request; or a function of the request, whose other parameters are
                injected by their types. Either may be async, and answers True, False,
                or a sentence that says why not.

        Raises:
            BindingError: It is neither, or cannot be called with a request.
            InUseError: A request was decided about already.

        """
        self._rules.bind(request_type, policy)

    def authorises(
        self, request_type: type[Req]
    ) -> Callable[
        [Callable[Concatenate[Req, P], Answer]], Callable[Concatenate[Req, P], Answer]
    ]:
        """
        Make the decorated function a policy for the requests of a type.

        It stays as it is, so that it can be called directly in a test.

        Args:
            request_type: As for `bind`.

        Raises:
            BindingError: As `bind` does.
            InUseError: As `bind` does.

        """

        def bind(
            policy: Callable[Concatenate[Req, P], Answer],
        ) -> Callable[Concatenate[Req, P], Answer]:
            self.bind(request_type, policy)
            return policy

        return bind

    def injected(self, request_type: type) -> Iterable[Injected]:
        """Ask for what the policies need."""
        return self._rules.injected(request_type)

    def refuses(self, request_type: type) -> str | None:
        """Say that nobody may send what no policy is for."""
        if self._rules.bound_to(request_type):
            return None
        return "no policy is bound to its type; bind one, or leave it out with only="

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Pass on a request that is allowed.

        Raises:
            AuthorisationError: It is not, or no policy is bound to its type.
            BindingError: A policy answered neither with a bool nor with a sentence.

        """
        asked: Any = request
        if isinstance(request, PostCommand):
            asked = request.command
        policies = self._policies(asked.__class__)
        if not policies:
            raise AuthorisationError(asked, "no policy is bound to its type")
        for policy in policies:
            verdict = await policy.ask(asked)
            if verdict is True:
                continue
            if verdict is not False and not isinstance(verdict, str):
                # Its type only, for its repr might show what is in the request.
                msg = (
                    f"{policy.name} answered with a {type(verdict).__name__}: a policy "
                    "answers True, False, or a sentence that says why not"
                )
                raise BindingError(msg)
            raise AuthorisationError(asked, verdict or f"{policy.name} refuses it")
        return await handle(request)
