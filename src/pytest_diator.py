"""The pytest plugin: fixtures that load diator only where a test asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from diator import Mediator
    from diator.testing.harness import Harness

# Its assertions are to tell what they found, as those of anybody's own tests do.
pytest.register_assert_rewrite("diator.testing.conformance")

HARNESSES = pytest.StashKey[list[Any]]()


@pytest.fixture
def diator_harness(
    request: pytest.FixtureRequest,
) -> Generator[Callable[[Mediator], Harness]]:
    """Give what makes a harness of a mediator; reports of failures show it."""
    from diator.testing.harness import Harness  # noqa: PLC0415  # see above

    def make(mediator: Mediator) -> Harness:
        harness = Harness(mediator)
        harnesses.append(harness)
        return harness

    harnesses = request.node.stash.setdefault(HARNESSES, [])
    yield make
    # The test's report is written, and the session goes on.
    harnesses.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have the report of a failed test show what happened in its harnesses."""
    report = yield
    if report.failed:
        for harness in item.stash.get(HARNESSES, ()):
            report.sections.append(("diator timeline", str(harness.timeline)))
    return report
