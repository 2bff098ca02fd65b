"""What the pytest plugin gives to tests."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

pytest_plugins = ["pytester"]

TEST = """
from diator import Mediator, Query


class Ask(Query[int]):
    pass


def test_harness(diator_harness):
    import asyncio

    harness = diator_harness(Mediator())
    harness.stub(Ask, 1)
    assert asyncio.run(harness.send(Ask())) == 1
    harness.sent.none(Ask)
"""


FAILING_TEST = """
import asyncio

from diator import Mediator, Query


class Ask(Query[int]):
    pass


def test_answer(diator_harness):
    harness = diator_harness(Mediator())
    harness.stub(Ask, 1)
    assert asyncio.run(harness.send(Ask())) == {expected}
"""


class TestPlugin:
    @pytest.mark.parametrize("expected,shown", [(1, 0), (2, 1)])
    def test_section_of_the_report(self, pytester: Any, expected, shown):
        """A test that fails, in whatever way, shows what happened; others do not."""
        pytester.makepyfile(FAILING_TEST.format(expected=expected))

        result = pytester.runpytest_subprocess("-rA")

        result.assert_outcomes(failed=shown, passed=1 - shown)
        lines = [line.strip("- ") for line in result.outlines]
        assert lines.count("diator timeline") == shown
        assert sum(line.startswith("sent ") for line in lines) == shown

    def test_timeline_in_the_report(self, pytester: Any):
        """A test that expected something else is told what happened."""
        pytester.makepyfile(TEST)

        # A process of its own: plugins of this one would judge the inner test.
        result = pytester.runpytest_subprocess()

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*what happened:", "*sent      *Ask* -> 1"])

    def test_light(self):
        """Whoever has diator installed does not load it with each run of pytest."""
        code = "import sys, pytest_diator; print('diator' in sys.modules)"
        loaded = subprocess.check_output([sys.executable, "-c", code], text=True)

        assert loaded.strip() == "False"
