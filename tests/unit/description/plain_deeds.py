"""A handler whose annotations are objects, not texts."""

from typing import Annotated, Any, Union

from diator import collect
from tests.unit.description import deeds


class Store:
    told: Annotated[deeds.Aggregate, "it"]
    either: Union[None, deeds.Aggregate]  # noqa: RUF036, UP007  # as older code has it
    anything: Any
    number: 1  # type: ignore[valid-type]
    broken: "deeds."  # type: ignore[syntax]  # noqa: F722  # it is the point
    called: "deeds().Aggregate"
    constant: "1 + 1"  # as above
    listed: "list[deeds.Aggregate]"
    optional: "deeds.Aggregate | None"
    annotated: "Annotated[deeds.Aggregate, 1]"
    either_now: "None | deeds.Aggregate"  # noqa: RUF036  # as above

    def find(self) -> deeds.Aggregate: ...

    def found(self) -> "deeds.Aggregate": ...


async def told(request: deeds.Do, store: Store) -> None:
    store.told.close()


async def either(request: deeds.Do, store: Store) -> None:
    store.either.close()  # type: ignore[union-attr]


async def optional(request: deeds.Do, store: Store) -> None:
    store.optional.close()  # type: ignore[union-attr]


async def annotated(request: deeds.Do, store: Store) -> None:
    store.annotated.close()


async def either_now(request: deeds.Do, store: Store) -> None:
    store.either_now.close()  # type: ignore[union-attr]


async def by_answer(request: deeds.Do, store: Store) -> None:
    store.find().close()


async def by_answer_as_text(request: deeds.Do, store: "Store") -> None:
    store.found().close()


async def untold(request: deeds.Do, store: Store) -> None:
    store.anything.close()
    store.number.close()
    store.broken.close()
    store.constant.close()
    store.called.close()
    deeds.Aggregate.unknown()  # type: ignore[attr-defined]
    store.listed.close()  # type: ignore[attr-defined]
    undefined.close()  # type: ignore[name-defined]  # noqa: F821  # it is the point
    store[0].close()  # type: ignore[index]


async def generic(request: deeds.Do) -> None:
    collect(deeds.Boxed[int]())


async def relative(request: deeds.Do) -> None:
    from . import deeds as found  # it is the point

    found.helper()
    collect(found.A())


async def by_unknown_super(request: deeds.Do) -> None:
    super().close()  # type: ignore[misc]
