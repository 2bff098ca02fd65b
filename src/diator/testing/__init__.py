"""For the tests of what belongs to diator, such as adapters to message brokers."""

import pytest

# Its assertions are to tell what they found, as those of anybody's own tests do.
pytest.register_assert_rewrite("diator.testing.conformance")
