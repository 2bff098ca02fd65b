"""The broker within the process does what every broker has to do."""

from __future__ import annotations

import pytest

from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.testing.conformance import BrokerConformance


class TestMemory(BrokerConformance):
    @pytest.fixture(autouse=True)
    def broker(self):
        self._broker = InMemoryMessageBroker()

    def make_broker(self, topic):
        return self._broker
