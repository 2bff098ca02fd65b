# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
What the behaviours take.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, assert_type

from diator import Command, Mediator, Query
from diator.middlewares.authorisation import AuthorisationMiddleware
from diator.middlewares.caching import CachingMiddleware
from diator.middlewares.concurrency_limit import ConcurrencyLimitMiddleware
from diator.middlewares.idempotency import (
    IdempotencyMiddleware,
    IdempotencyStore,
    InMemoryIdempotencyStore,
    KeptAnswer,
)
from diator.middlewares.retry import RetryMiddleware
from diator.middlewares.timeout import TimeoutMiddleware, remaining
from diator.middlewares.validation import ValidationMiddleware


def is_locked(error: Exception) -> bool:
    return "locked" in str(error)


async def is_locked_later(error: Exception) -> bool:
    return "locked" in str(error)


def retry(mediator: Mediator) -> None:
    mediator.use(RetryMiddleware(ConnectionError))
    mediator.use(RetryMiddleware((ConnectionError, TimeoutError), attempts=5))
    mediator.use(RetryMiddleware(is_locked, delay=1, max_delay=2.5))
    mediator.use(RetryMiddleware(lambda error: error.args == ()))
    RetryMiddleware(is_locked_later)  # type: ignore[arg-type]  # not awaited
    RetryMiddleware(int)  # type: ignore[arg-type]  # no failure
    RetryMiddleware(BaseException)  # type: ignore[arg-type]  # cancellation passes
    RetryMiddleware(ConnectionError, 5)  # type: ignore[call-arg]  # by keyword
    RetryMiddleware()  # type: ignore[call-arg]  # everything would be too much


def timeout(mediator: Mediator) -> None:
    mediator.use(TimeoutMiddleware(5))
    mediator.use(TimeoutMiddleware(0.5))
    assert_type(remaining(), float | None)
    TimeoutMiddleware()  # type: ignore[call-arg]  # no timeout fits all
    TimeoutMiddleware("5")  # type: ignore[arg-type]  # no number


@dataclass(frozen=True)
class Pay(Command):
    key: str | None


class ClaimOfMine:
    kept: KeptAnswer | None = None

    async def keep(self, kept: KeptAnswer) -> None:
        self.kept = kept


class StoreOfMine:
    @asynccontextmanager
    async def claim(
        self, request_type: type[Any], key: str
    ) -> AsyncGenerator[ClaimOfMine]:
        yield ClaimOfMine()


def key_of(request: Pay) -> str | None:
    return request.key


def number_of(request: Pay) -> int:
    return 1


def idempotency(mediator: Mediator, store: IdempotencyStore) -> None:
    mediator.use(IdempotencyMiddleware(key_of), only=Pay)
    mediator.use(IdempotencyMiddleware(lambda request: request.key, store))
    mediator.use(IdempotencyMiddleware(key_of, StoreOfMine()))
    mediator.use(IdempotencyMiddleware(key_of, InMemoryIdempotencyStore(ttl=60)))
    IdempotencyMiddleware(number_of)  # type: ignore[arg-type]  # stores take texts
    IdempotencyMiddleware(key_of, {})  # type: ignore[arg-type]  # no store
    IdempotencyMiddleware()  # type: ignore[call-arg]  # only the application knows


@dataclass(frozen=True)
class ReadBalance(Query[int]):
    account: int


def account_of(request: ReadBalance) -> tuple[int, str] | None:
    return (request.account, "EUR") if request.account else None


def accounts_of(request: ReadBalance) -> list[int]:
    return [request.account]


def caching(mediator: Mediator) -> None:
    cache = CachingMiddleware(60)
    mediator.use(cache)
    mediator.use(CachingMiddleware(0.5, key=account_of, size=10), only=ReadBalance)
    cache.invalidate(ReadBalance(1))
    cache.invalidate(ReadBalance)
    cache.invalidate(Query)
    cache.invalidate(Pay("key"))  # type: ignore[arg-type]  # no query
    cache.invalidate(Pay)  # type: ignore[arg-type]  # no queries
    cache.invalidate(1)  # type: ignore[arg-type]  # no query
    CachingMiddleware(60, key=accounts_of)  # type: ignore[arg-type]  # not hashable
    CachingMiddleware()  # type: ignore[call-arg]  # for ever would be wrong


def concurrency_limit(mediator: Mediator) -> None:
    mediator.use(ConcurrencyLimitMiddleware(10, waiting=100), only=Command)
    ConcurrencyLimitMiddleware(10)  # type: ignore[call-arg]  # how many may wait?
    ConcurrencyLimitMiddleware(10, 100)  # type: ignore[call-arg]  # by keyword
    ConcurrencyLimitMiddleware(0.5, waiting=1)  # type: ignore[arg-type]  # no number


class Caller:
    is_admin = False


class IsAdmin:
    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def allows(self, request: Command) -> bool:
        return self.caller.is_admin


class OfPay:
    async def allows(self, request: Pay) -> str | bool:
        return "too much" if request.key else True


class NoPolicy:
    def validate(self, request: Pay) -> bool:
        return True


class WithoutVerdict:
    def allows(self, request: Pay) -> None: ...


def pays_for_themselves(request: Pay, caller: Caller) -> bool:
    return caller.is_admin


def reads(request: ReadBalance) -> bool:
    return True


def authorisation(mediator: Mediator) -> None:
    policies = AuthorisationMiddleware()
    mediator.use(policies)
    policies.bind(Pay, IsAdmin)
    policies.bind(Command, IsAdmin)
    policies.bind(Pay, OfPay)
    policies.bind(Pay, pays_for_themselves)
    policies.bind(ReadBalance, lambda query: query.account > 0)
    policies.bind(ReadBalance, OfPay)  # type: ignore[arg-type]  # of another request
    policies.bind(Pay, NoPolicy)  # type: ignore[arg-type]  # has another method
    policies.bind(Pay, WithoutVerdict)  # type: ignore[arg-type]  # answers nothing
    policies.bind(Pay, reads)  # type: ignore[arg-type]  # of another request

    @policies.authorises(Pay)
    async def is_small(request: Pay, caller: Caller, *, limit: int = 3) -> bool | str:
        return len(request.key or "") < limit or "too much"

    @policies.authorises(ReadBalance)  # type: ignore[arg-type]  # of another request
    def is_paid(request: Pay) -> bool:
        return bool(request.key)

    @policies.authorises(Pay)  # type: ignore[type-var]  # answers nothing
    def forgets(request: Pay) -> None: ...


def validation(mediator: Mediator) -> None:
    validators = ValidationMiddleware()
    mediator.use(validators)
    validators.bind(ReadBalance, lambda query: "no account" if query.account else None)
