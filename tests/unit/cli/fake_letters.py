"""Dead letters to try the commands on."""

from __future__ import annotations

from datetime import UTC, datetime

from diator.exceptions import DeadLetterNotFoundError
from diator.messages.dead_letters import DeadLetter


def make_letter(number, body=b'{"a": 1}'):
    return DeadLetter(
        letter_id=str(number),
        topic="events",
        message_name="user.joined.v1",
        message_id="m1",
        key=None,
        cause="ValueError: no",
        attempts=3,
        died_at=datetime(2026, 3, 7, tzinfo=UTC),
        body=body,
    )


class FakeLetters:
    """Dead letters that lie in a dictionary."""

    def __init__(self, number=2):
        self.letters = {str(each): make_letter(each) for each in range(number)}
        self.replayed = []

    async def list(self, limit=100, *, after=None):
        found = list(self.letters.values())
        first = 0 if after is None else found.index(after) + 1
        return found[first : first + limit]

    async def get(self, letter_id):
        try:
            return self.letters[letter_id]
        except KeyError:
            msg = f"no letter {letter_id}"
            raise DeadLetterNotFoundError(msg) from None

    async def replay(self, letter_ids):
        self.replayed += [each for each in letter_ids if each in self.letters]
        return await self.drop(letter_ids)

    async def drop(self, letter_ids):
        found = [each for each in letter_ids if each in self.letters]
        for each in found:
            del self.letters[each]
        return len(found)


class DyingLetters(FakeLetters):
    """Dead letters that die again as soon as they are replayed, under new ids."""

    async def replay(self, letter_ids):
        number = await super().replay(letter_ids)
        for letter_id in letter_ids:
            self.letters[f"{letter_id}+"] = make_letter(f"{letter_id}+")
        return number
