"""
What every adapter to a message broker has to do, as tests to run on it.

Derive a class from `BrokerConformance`, say how a broker is made, and have pytest, with
pytest-asyncio, run it. What the broker does not promise, by its capabilities, is
skipped, with the name of the capability as the reason::

    class TestMyBroker(BrokerConformance):
        @pytest.fixture(autouse=True)
        def server(self, my_server):
            self.url = my_server.url

        def make_broker(self, topic):
            return MyBroker(self.url)

The cases are those of a broker. Left to the consumer are unknown types, what becomes of
messages that cannot be decoded once they were delivered, how long handlers may take,
and the deadline of a graceful drain; left to the adapter's own tests what only one
broker knows, such as messages that cannot be routed.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import pytest

from diator.events.message_brokers.encoding import MAX_BODY_BYTES
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.subscription import (
    Delivery,
    KeepsDeadLetters,
    SubscribableBroker,
    Subscription,
)
from diator.exceptions import EncodingError
from diator.messages.dead_letters import DeadLetters

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""After how long a broker has failed to do something, however busy the machine."""

KEYS = 5
AWAITS = 40
"""At how many awaits, from the first one on, a call is cancelled."""


class BrokerConformance(ABC):
    """
    The cases that an adapter to a message broker has to pass.

    A broker that forgets members which crash should do so within some seconds, so that
    the tests are not slow; each test waits for 30 at most.
    """

    pytestmark = pytest.mark.asyncio

    # --- What an adapter says ---

    @abstractmethod
    def make_broker(self, topic: str) -> SubscribableBroker:
        """
        Make a broker of which nothing has been used yet.

        A test may make several, which then are clients of the same server.

        Args:
            topic: What the test publishes under. No other test does.

        """

    def subscribe(
        self, broker: Any, topics: Sequence[str], *, group: str, member: int, of: int
    ) -> Any:
        """
        Become a member of a group.

        To be overridden where the broker has to be told what is whose.

        Args:
            broker: What `make_broker` made.
            topics: What is received.
            group: The group.
            member: The number of this member, from 0 on.
            of: How many members there are.

        """
        del member, of
        return broker.subscribe(topics, group=group)

    async def interrupt(self) -> None:
        """Cut all connections to the server, by a restart, say."""
        pytest.skip("interrupt")

    async def delete(self, topic: str) -> None:
        """Delete a topic, and its groups, behind the broker's back."""
        del topic
        pytest.skip("delete")

    async def retain(self, broker: Any, topic: str) -> None:
        """Have the broker forget whatever it may of a topic."""
        del broker, topic

    async def crash(self, subscription: Any) -> None:
        """
        Have a member crash, from whom nothing is heard any more.

        To be overridden where a member does something even when nobody calls it.

        Args:
            subscription: What the member received by.

        """
        del subscription

    # --- What the tests use ---

    @pytest.fixture(autouse=True)
    def topic_of_its_own(self) -> None:
        """Choose the topic of a test."""
        self.topic = f"conformance-{uuid4().hex}"

    def publisher(self, stack: AsyncExitStack) -> SubscribableBroker:
        """Make a broker that is closed in the end."""
        broker = self.make_broker(self.topic)
        stack.push_async_callback(close, broker)
        return broker

    def promising(self, stack: AsyncExitStack, *capabilities: str) -> Any:
        """Make a broker, or skip the test if it does not promise what that is about."""
        broker = self.publisher(stack)
        for capability in capabilities:
            if not getattr(broker.capabilities, capability):
                pytest.skip(capability)
        return broker

    async def join(
        self,
        stack: AsyncExitStack,
        broker: SubscribableBroker,
        *,
        group: str = "group",
        member: int = 0,
        of: int = 1,
    ) -> Subscription:
        """Become a member of a group, until the stack is left."""
        subscription: Subscription = await stack.enter_async_context(
            self.subscribe(broker, [self.topic], group=group, member=member, of=of)
        )
        return subscription

    def message(self, number: int = 0, **fields: Any) -> Message:
        """Make a message that knows its number."""
        return Message(
            message_type="notification_event",
            message_name="Numbered",
            message_id=uuid4(),
            payload={"number": number},
            topic=self.topic,
            **fields,
        )

    def messages(self, count: int, **fields: Any) -> list[Message]:
        """Make messages that are numbered from 0 on."""
        return [self.message(number, **fields) for number in range(count)]

    def keyed(self, count: int) -> list[Message]:
        """Make numbered messages with some keys in turn."""
        return [
            self.message(number, key=f"key-{number % KEYS}") for number in range(count)
        ]

    # --- Publishing ---

    async def test_round_trip(self) -> None:
        """The payload arrives as it was sent."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            message = self.message(7)

            await publish(broker, [message])

            [delivery] = await receive(subscription, 1)
            assert numbers([delivery]) == [7]
            assert delivery.message_id == str(message.message_id)
            assert delivery.message_type == "notification_event"
            assert delivery.attempt == 1

    async def test_headers(self) -> None:
        """Topic, key and headers, such as a trace's, travel along."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "headers")
            subscription = await self.join(stack, broker)
            headers = {
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033-01",
                "body": "no field of ours",
                "été": "naïve ☃",
            }

            await publish(broker, [self.message(key="ключ", headers=headers)])

            [delivery] = await receive(subscription, 1)
            assert delivery.topic == self.topic
            assert delivery.message_name == "Numbered"
            assert delivery.key == "ключ"
            assert delivery.headers == headers

    async def test_batch(self) -> None:
        """A batch of a hundred arrives, each message once."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)

            await publish(broker, self.messages(100))

            assert sorted(numbers(await receive(subscription, 100))) == [*range(100)]

    async def test_empty_batch(self) -> None:
        """No messages, no outcomes."""
        async with AsyncExitStack() as stack:
            assert list(await within(self.publisher(stack).publish([]))) == []

    async def test_outcome_of_each(self) -> None:
        """A message that has no form on the wire keeps no other from going."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            unencodable = msgspec.structs.replace(self.message(1), payload=object())

            first, second, third = await within(
                broker.publish([self.message(0), unencodable, self.message(2)])
            )

            assert (first, third) == (None, None)
            assert isinstance(second, EncodingError)
            assert sorted(numbers(await receive(subscription, 2))) == [0, 2]

    async def test_oversize(self) -> None:
        """What is too large for consumers is refused before it is sent."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            large = msgspec.structs.replace(
                self.message(), payload={"text": "x" * MAX_BODY_BYTES}
            )

            [outcome] = await within(broker.publish([large]))

            assert isinstance(outcome, EncodingError)

    async def test_concurrent_publishers(self) -> None:
        """What many publish at the same time arrives, each message once."""
        async with AsyncExitStack() as stack:
            brokers = [self.publisher(stack) for _ in range(3)]
            subscription = await self.join(stack, brokers[0])

            await asyncio.gather(
                *(
                    publish(brokers[number % 3], [self.message(number)])
                    for number in range(60)
                )
            )

            assert sorted(numbers(await receive(subscription, 60))) == [*range(60)]

    async def test_acknowledged_by_the_broker(self) -> None:
        """When `publish` returns the broker has the message, whoever dies then."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "acknowledges", "keeps")

            await publish(broker, [self.message(1)])
            await close(broker)

            subscription = await self.join(stack, self.publisher(stack))
            assert numbers(await receive(subscription, 1)) == [1]

    async def test_same_id_twice(self) -> None:
        """A message that is published twice has the same id both times."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            message = self.message()

            await publish(broker, [message])
            await publish(broker, [message])

            ids = {each.message_id for each in await receive(subscription, 2)}
            assert ids == {str(message.message_id)}

    async def test_undecodable(self) -> None:
        """What cannot be decoded is delivered as it is, and so is what follows."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            broken = msgspec.structs.replace(
                self.message(key="a"), payload=msgspec.Raw(b"\xff{[")
            )

            await publish(broker, [broken, self.message(1, key="a")])

            first, second = await receive(subscription, 2)
            assert b"\xff{[" in first.body
            assert numbers([second]) == [1]

    # --- Groups ---

    async def test_every_group(self) -> None:
        """Every group gets every message."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            one = await self.join(stack, broker, group="one")
            other = await self.join(stack, broker, group="other")

            await publish(broker, self.messages(10))

            assert sorted(numbers(await receive(one, 10))) == [*range(10)]
            assert sorted(numbers(await receive(other, 10))) == [*range(10)]

    async def test_members_share(self) -> None:
        """The members of a group share its messages, each of which one gets."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "groups")
            members = [
                await self.join(stack, broker, member=number, of=2)
                for number in range(2)
            ]
            await publish(broker, self.keyed(100))

            received = await receive_of_all(members, 100)

            assert sorted(numbers(received)) == [*range(100)]

    async def test_new_group(self) -> None:
        """A group that comes later gets what was published before."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps")
            await publish(broker, self.messages(10))
            first = await self.join(stack, broker, group="first")
            await first.ack(await receive(first, 10))

            second = await self.join(stack, broker, group="second")

            assert sorted(numbers(await receive(second, 10))) == [*range(10)]

    async def test_waits_for_members(self) -> None:
        """Messages wait while a group has no member."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps")
            async with AsyncExitStack() as member:
                await self.join(member, broker)

            await publish(broker, self.messages(10))

            subscription = await self.join(stack, broker)
            assert sorted(numbers(await receive(subscription, 10))) == [*range(10)]

    async def test_other_topics(self) -> None:
        """Nothing of other topics is received."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "headers")
            subscription = await self.join(stack, broker)
            other = msgspec.structs.replace(self.message(1), topic=f"{self.topic}-2")

            await publish(broker, [other, self.message(2)])

            assert numbers(await receive(subscription, 1)) == [2]

    async def test_leaving(self) -> None:
        """The others go on when a member leaves."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            staying = await self.join(stack, broker, group="staying")
            async with AsyncExitStack() as leaving:
                await self.join(leaving, broker, group="leaving")

            await publish(broker, self.messages(3))

            assert sorted(numbers(await receive(staying, 3))) == [*range(3)]

    # --- Receiving ---

    async def test_limit(self) -> None:
        """Never is more given than asked for, and nothing twice meanwhile."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            await publish(broker, self.keyed(30))

            received: list[Delivery] = []
            for limit in (1, 2, 3, 1, 4, 2, 5, 1, 3, 2, 1, 2, 1, 1, 1):
                received += await receive_once(subscription, limit)
            received += await receive(subscription, 30 - len(received))

            assert sorted(numbers(received)) == [*range(30)]

    async def test_acknowledged(self) -> None:
        """What was acknowledged is not delivered again."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps")
            async with AsyncExitStack() as member:
                subscription = await self.join(member, broker)
                await publish(broker, self.messages(10))
                await within(subscription.ack(await receive(subscription, 10)))

            again = await self.join(stack, broker)
            await publish(broker, [self.message(10)])

            assert numbers(await receive(again, 1)) == [10]

    async def test_not_acknowledged(self) -> None:
        """What a member leaves without having acknowledged it is delivered again."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps")
            async with AsyncExitStack() as member:
                subscription = await self.join(member, broker)
                await publish(broker, self.messages(10))
                first, *_ = await receive(subscription, 10)
                await within(subscription.ack([first]))

            again = await self.join(stack, broker)

            rest = {*range(10)} - {*numbers([first])}
            assert {*numbers(await receive(again, 9))} == rest

    async def test_given_back(self) -> None:
        """What is given back is delivered again, as the same attempt."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps", "counts")
            subscription = await self.join(stack, broker)
            await publish(broker, [self.message()])

            attempts: list[int] = []
            for _ in range(3):
                [delivery] = await receive(subscription, 1)
                attempts.append(delivery.attempt)
                await within(subscription.nack([delivery]))

            assert attempts == [1, 1, 1]

    async def test_nothing_to_settle(self) -> None:
        """To acknowledge, give back or extend nothing, or twice, does no harm."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            await publish(broker, [self.message(1)])
            deliveries = await receive(subscription, 1)

            await within(subscription.ack([]))
            await within(subscription.nack([]))
            await within(subscription.extend([]))
            await within(subscription.ack(deliveries))
            await within(subscription.ack(deliveries))
            await within(subscription.extend(deliveries))

            await publish(broker, [self.message(2)])
            assert numbers(await receive(subscription, 1)) == [2]

    async def test_crash(self) -> None:
        """What a member held when it crashed is delivered to another."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps", "leases")
            crashed = await self.join(stack, broker)
            await publish(broker, self.messages(10))
            await receive(crashed, 10)
            await self.crash(crashed)

            other = await self.join(stack, self.publisher(stack))

            received = await receive(other, 10)
            assert sorted(numbers(received)) == [*range(10)]
            assert {each.attempt for each in received} == {2}

    async def test_attempts(self) -> None:
        """Of those after the first, only attempts that were begun count."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps", "leases", "counts")
            await publish(broker, [self.message()])
            attempts: list[int] = []
            for begins in (False, False, True, True, False):
                member = await self.join(stack, self.publisher(stack))
                [delivery] = await receive(member, 1)
                attempts.append(delivery.attempt)
                if begins:
                    await within(member.extend([delivery]))
                await self.crash(member)

            assert attempts == [1, 2, 2, 3, 4]

    async def test_attempts_before_leaving(self) -> None:
        """Who leaves does not make an attempt count, nor more than there were."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps", "leases", "counts")
            await publish(broker, self.messages(2))
            crashed = await self.join(stack, broker)
            await receive(crashed, 2)
            await self.crash(crashed)
            attempts: list[set[int]] = []
            for gives_back in (False, True, False):
                async with AsyncExitStack() as membership:
                    member = await self.join(membership, self.publisher(stack))
                    begun, waiting = await receive(member, 2)
                    attempts.append({begun.attempt, waiting.attempt})
                    await within(member.extend([begun]))
                    if gives_back:
                        await within(member.nack([begun, waiting]))

            assert attempts == [{2}, {2}, {2}]

    async def test_extended(self) -> None:
        """What is still being handled is not given to another member."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "groups", "leases")
            slow = await self.join(stack, broker)
            crashed = await self.join(stack, broker, group="crashed")
            await publish(broker, [self.message(0, key="a")])
            deliveries = await receive(slow, 1)
            await receive(crashed, 1)
            await self.crash(crashed)

            # The same, not extended, has gone to another member when this is over.
            waiting = asyncio.create_task(self._receive_other("crashed", 1))
            while not waiting.done():
                await within(slow.extend(deliveries))
                await asyncio.wait([waiting], timeout=0.02)
            assert numbers(waiting.result()) == [0]

            await within(slow.ack(deliveries))
            await self.crash(slow)
            other = await self.join(stack, broker)
            await publish(broker, [self.message(1, key="a")])
            assert numbers(await receive(other, 1)) == [1]

    async def _receive_other(self, group: str, count: int) -> list[Delivery]:
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            other = await self.join(stack, broker, group=group)
            return await receive(other, count)

    # --- Order ---

    async def test_order(self) -> None:
        """Messages with the same key are delivered in their order."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "ordered")
            subscription = await self.join(stack, broker)
            for start in range(0, 100, 10):
                await publish(broker, self.keyed(100)[start : start + 10])

            received: list[Delivery] = []
            while len(received) < 100:
                deliveries = await receive_once(subscription, 7)
                received += deliveries
                await within(subscription.ack(deliveries))

            assert_order(received, self.keyed(100))

    async def test_order_after_failures(self) -> None:
        """What failed is delivered again before what comes after it."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "ordered")
            subscription = await self.join(stack, broker)
            await publish(broker, self.keyed(60))

            handled: list[Delivery] = []
            failed: set[str] = set()
            while len(handled) < 60:
                good: list[Delivery] = []
                bad: list[Delivery] = []
                keys: set[str | None] = set()
                for delivery in await receive_once(subscription, 7):
                    fails = numbers([delivery])[0] % 4 == 0
                    if delivery.key in keys or (
                        fails and delivery.message_id not in failed
                    ):
                        # With it goes all that must not overtake it.
                        keys.add(delivery.key)
                        failed.add(delivery.message_id)
                        bad.append(delivery)
                    else:
                        good.append(delivery)
                handled += good
                await within(subscription.nack(bad))
                await within(subscription.ack(good))

            assert_order(handled, self.keyed(60))

    async def test_order_after_crashes(self) -> None:
        """Whoever takes over goes on where the one before it was."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "ordered", "leases")
            await publish(broker, self.keyed(50))

            handled: list[Delivery] = []
            while len(handled) < 50:
                owner = await self.join(stack, broker)
                first, *_ = await receive_once(owner, 7)
                # It had more, and never comes back.
                await within(owner.ack([first]))
                await self.crash(owner)
                handled.append(first)

            assert_order(handled, self.keyed(50))

    # --- Dead letters ---

    async def test_dead_letter(self) -> None:
        """A message that is put aside is kept, with the cause, and not delivered."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "dead_letters")
            subscription = await self.join(stack, broker)
            poison = self.message(1, key="a", headers={"b": "c"})
            await publish(broker, [poison])
            [delivery] = await receive(subscription, 1)

            await within(subscription.dead_letter(delivery, "ValueError: it is odd"))

            [letter] = await within(self._letters(broker).list())
            assert letter.cause == "ValueError: it is odd"
            assert letter.topic == self.topic
            assert letter.message_id == str(poison.message_id)
            assert letter.message_name == "Numbered"
            assert (letter.key, letter.headers) == ("a", {"b": "c"})
            assert letter.attempts == 1
            assert letter.body == delivery.body
            assert await within(self._letters(broker).get(letter.letter_id)) == letter
            await publish(broker, [self.message(2, key="a")])
            assert numbers(await receive(subscription, 1)) == [2]

    async def test_replay(self) -> None:
        """A dead letter can be delivered again, under its own id, with all it had."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "dead_letters")
            subscription = await self.join(stack, broker)
            poison = self.message(1, key="a", headers={"b": "c"})
            await publish(broker, [poison])
            [delivery] = await receive(subscription, 1)
            await within(subscription.dead_letter(delivery, "bad"))
            letters = self._letters(broker)
            [letter] = await within(letters.list())

            assert await within(letters.replay([letter.letter_id])) == 1

            [again] = await receive(subscription, 1)
            assert again.message_id == str(poison.message_id)
            assert (again.body, again.key) == (delivery.body, "a")
            assert again.headers == {"b": "c"}
            assert again.attempt == 1
            assert list(await within(letters.list())) == []

    async def test_many_dead_letters(self) -> None:
        """Dead letters are listed from the oldest on, and can be dropped."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "dead_letters")
            subscription = await self.join(stack, broker)
            await publish(broker, self.messages(5))
            for number, delivery in enumerate(await receive(subscription, 5)):
                await within(subscription.dead_letter(delivery, f"cause {number}"))
            letters = self._letters(broker)

            found = await within(letters.list(3))

            assert [each.cause for each in found] == ["cause 0", "cause 1", "cause 2"]
            ids = [each.letter_id for each in found]
            assert await within(letters.drop([ids[0], ids[2]])) == 2
            # Also where the one to go on from is gone.
            rest = await within(letters.list(1, after=found[-1]))
            assert [each.cause for each in rest] == ["cause 3"]
            rest = await within(letters.list(after=rest[-1]))
            assert [each.cause for each in rest] == ["cause 4"]
            left = await within(letters.list())
            assert [each.cause for each in left] == ["cause 1", "cause 3", "cause 4"]

    async def test_unknown_dead_letter(self) -> None:
        """A dead letter that is gone is no error but for who wants to see it."""
        async with AsyncExitStack() as stack:
            letters = self._letters(self.promising(stack, "dead_letters"))

            assert await within(letters.replay(["1-1", "unknown"])) == 0
            assert await within(letters.drop(["1-1", "unknown"])) == 0
            assert await within(letters.drop(["unknown"])) == 0
            for letter_id in ("1-1", "unknown"):
                with pytest.raises(LookupError, match=letter_id):
                    await within(letters.get(letter_id))

    def _letters(self, broker: KeepsDeadLetters) -> DeadLetters:
        return broker.dead_letters(self.topic, "group")

    # --- Retention and outages ---

    async def test_retention(self) -> None:
        """What some group has not acknowledged is never forgotten."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps")
            idle = await self.join(stack, broker, group="idle")
            busy = await self.join(stack, broker, group="busy")
            await publish(broker, self.messages(300))
            held = await receive(idle, 10)
            await within(busy.ack(await receive(busy, 300)))

            await within(self.retain(broker, self.topic))

            await within(idle.nack(held))
            assert sorted(numbers(await receive(idle, 300))) == [*range(300)]

    async def test_deleted(self) -> None:
        """A topic that was deleted is there again when it is used."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps")
            subscription = await self.join(stack, broker)
            await publish(broker, self.messages(3))
            await receive(subscription, 3)
            waiting = asyncio.create_task(receive(subscription, 1))
            await asyncio.sleep(0)

            await self.delete(self.topic)
            await publish(broker, [self.message(3)])

            assert numbers(await waiting) == [3]

    async def test_interruption(self) -> None:
        """Both sides connect anew when their connections are cut."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            await publish(broker, [self.message(1)])
            await within(subscription.ack(await receive(subscription, 1)))
            waiting = asyncio.create_task(receive(subscription, 1))
            await asyncio.sleep(0)

            await self.interrupt()

            # Where nothing is kept, what is published before the other side is back
            # reaches nobody.
            while not waiting.done():
                await publish(broker, [self.message(2)])
                await asyncio.wait([waiting], timeout=0.05)
            assert numbers(waiting.result()) == [2]

    # --- Cancellation and closing ---

    async def test_publishing_cancelled(self) -> None:
        """Wherever publishing is cancelled, what others publish arrives once."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            tasks_before = asyncio.all_tasks()
            kept: list[int] = []
            for steps in range(AWAITS):
                messages = [self.message(steps * 10 + each) for each in range(4)]
                tasks = [asyncio.create_task(broker.publish([m])) for m in messages]
                for _ in range(steps):
                    await asyncio.sleep(0)
                tasks[0].cancel()
                tasks[2].cancel()

                await within(asyncio.wait(tasks))

                assert [list(task.result()) for task in tasks[1::2]] == [[None]] * 2
                kept += [steps * 10 + 1, steps * 10 + 3]

            assert asyncio.all_tasks() <= tasks_before
            await publish(broker, [self.message(9_999)])
            heard = Counter(numbers(await receive_until(subscription, {*kept, 9_999})))
            assert set(heard.values()) == {1}

    async def test_receiving_cancelled(self) -> None:
        """Wherever receiving is cancelled, no message is lost, and none comes twice."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            received: list[Delivery] = []
            for steps in range(AWAITS):
                receiving = asyncio.create_task(take(subscription, 2, received))
                publishing = asyncio.create_task(publish(broker, [self.message(steps)]))
                for _ in range(steps):
                    await asyncio.sleep(0)
                receiving.cancel()
                await within(asyncio.wait([receiving, publishing]))

            missing = AWAITS - len(received)
            received += await receive(subscription, missing)

            assert sorted(numbers(received)) == [*range(AWAITS)]

    async def test_settling_cancelled(self) -> None:
        """Wherever settling is cancelled, it can be done again."""
        async with AsyncExitStack() as stack:
            broker = self.promising(stack, "keeps")
            subscription = await self.join(stack, broker)
            await publish(broker, self.messages(AWAITS))
            deliveries = await receive(subscription, AWAITS)
            for steps, delivery in enumerate(deliveries):
                settling = asyncio.create_task(settle(subscription, delivery, steps))
                for _ in range(steps // 2):
                    await asyncio.sleep(0)
                settling.cancel()
                await within(asyncio.wait([settling]))
                await within(subscription.ack([delivery]))

            await publish(broker, [self.message(9_999)])
            heard = await receive_until(subscription, {9_999})
            given_back = {number for number in range(AWAITS) if number % 2}
            assert {*numbers(heard)} - {9_999} <= given_back

    async def test_closing(self) -> None:
        """To close is to finish, and can be done at once and again."""
        async with AsyncExitStack() as stack:
            broker = self.publisher(stack)
            subscription = await self.join(stack, broker)
            closed = self.publisher(stack)
            publishing = [
                asyncio.create_task(publish(closed, [self.message(number)]))
                for number in range(5)
            ]
            await asyncio.sleep(0)

            await within(asyncio.gather(*(close(closed) for _ in range(3))))

            await within(asyncio.gather(*publishing))
            assert sorted(numbers(await receive(subscription, 5))) == [*range(5)]

    async def test_leaves_nothing_running(self) -> None:
        """Nothing runs any more when the last member has left, whatever it was at."""
        tasks_before = asyncio.all_tasks()
        for steps in range(10):
            async with AsyncExitStack() as stack:
                subscription = await self.join(stack, self.publisher(stack))
                receiving = asyncio.create_task(take(subscription, 1, []))
                for _ in range(steps):
                    await asyncio.sleep(0)
                receiving.cancel()

            with suppress(asyncio.CancelledError):
                await receiving
            assert asyncio.all_tasks() <= tasks_before


async def within(waiting: Awaitable[T]) -> T:
    """Wait for something, but not for ever."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await waiting


async def publish(broker: SubscribableBroker, messages: Sequence[Message]) -> None:
    """Publish messages that the broker has to take."""
    outcomes = await within(broker.publish(messages))
    assert list(outcomes) == [None] * len(messages)


async def receive(subscription: Subscription, count: int) -> list[Delivery]:
    """Receive exactly so many messages, however they come."""
    received: list[Delivery] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(received) < count:
            try:
                received += await subscription.receive(count - len(received))
            except ConnectionError:
                # It may be asked again, but not all the time.
                await asyncio.sleep(0.05)
    assert len(received) == count
    return received


async def receive_once(subscription: Subscription, limit: int) -> list[Delivery]:
    """Receive what there is, which must be something, and not more than the limit."""
    received = list(await within(subscription.receive(limit)))
    assert 1 <= len(received) <= limit
    return received


async def receive_until(
    subscription: Subscription, expected: Iterable[int]
) -> list[Delivery]:
    """Receive until all messages with some numbers have come."""
    missing = set(expected)
    received: list[Delivery] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while missing:
            received += await subscription.receive(100)
            missing -= set(numbers(received))
    return received


async def receive_of_all(members: Sequence[Subscription], count: int) -> list[Delivery]:
    """Receive so many messages, whichever of the members get them."""
    received: list[Delivery] = []
    enough = asyncio.Event()

    async def receive_on(subscription: Subscription) -> None:
        while len(received) < count:
            await take(subscription, 5, received)
            await asyncio.sleep(0)
        enough.set()

    tasks = [asyncio.create_task(receive_on(each)) for each in members]
    await within(enough.wait())
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return received


async def take(
    subscription: Subscription, limit: int, received: list[Delivery]
) -> None:
    """Receive, and note what was received before anybody can be cancelled."""
    received += await subscription.receive(limit)


async def settle(subscription: Subscription, delivery: Delivery, number: int) -> None:
    """Acknowledge a message, or give it back, by its number."""
    if number % 2:
        await subscription.nack([delivery])
    else:
        await subscription.ack([delivery])


async def close(broker: Any) -> None:
    """Close a broker that can be closed."""
    aclose = getattr(broker, "aclose", None)
    if aclose is not None:
        await aclose()


def numbers(deliveries: Iterable[Delivery]) -> list[int]:
    """Give the numbers of messages."""
    bodies = [msgspec.json.decode(delivery.body) for delivery in deliveries]
    return [body["payload"]["number"] for body in bodies]


def assert_order(deliveries: Sequence[Delivery], messages: Sequence[Message]) -> None:
    """Assert that all messages came, those with the same key in their order."""
    for key in {message.key for message in messages}:
        received = numbers(each for each in deliveries if each.key == key)
        sent = [each.payload["number"] for each in messages if each.key == key]
        assert received == sent
