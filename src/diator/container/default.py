"""The container where none is given, and the adapter to a plain lagom container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from diator.container.protocol import Container


def adapted(container: Any) -> Container:
    """
    Give an adapter to whatever a user means by a container.

    Args:
        container: An adapter, a plain `lagom.Container`, or None for a new one.

    Raises:
        ConfigurationError: It is none of these.

    """
    is_adapter = all(
        hasattr(container, name) for name in ("check", "factory", "knows", "scope")
    )
    if is_adapter and not isinstance(container, type):
        adapter: Container = container
        return adapter
    # Who brings another container does not need lagom to be loaded.
    from diator.container.lagom import LagomContainer  # noqa: PLC0415

    try:
        return LagomContainer.of(container)  # pyright: ignore[reportArgumentType]  # it looks for itself
    except TypeError:
        msg = (
            f"{container!r} is not a container: pass a lagom.Container, "
            "or an adapter such as diator.container.dishka.DishkaContainer"
        )
        raise ConfigurationError(msg) from None
