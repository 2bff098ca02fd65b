"""The pytest plugin: fixtures that load diator only where a test asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from diator import Mediator
    from diator.testing.harness import Harness

# Its assertions are to tell what they found, as those of anybody's own tests do.
pytest.register_assert_rewrite("diator.testing.conformance")


@pytest.fixture
def diator_harness() -> Callable[[Mediator], Harness]:
    """Give what makes a harness of a mediator."""
    from diator.testing.harness import Harness  # noqa: PLC0415  # see above

    return Harness
