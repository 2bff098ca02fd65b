"""The commands, as a shell sees them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import metadata

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from typer.testing import CliRunner

from diator import Mediator
from diator.cli.main import app
from diator.cli.service import SignalledError
from diator.consumer.consumer import Consumer
from diator.exceptions import ConfigurationError
from diator.messages.registry import MessageRegistry
from diator.outbox.outbox import Outbox, OutboxStatus
from diator.outbox.relay import Relay
from tests.unit.cli.fake_letters import DyingLetters, FakeLetters, make_letter
from tests.unit.consumer.fake_broker import FakeBroker


class FakeOutbox:
    async def health(self):
        return {"running": False, "connected": False, "pending": 3}


class MereOutbox:
    async def status(self):
        return OutboxStatus(pending=3, oldest_seconds=1.5, dead=0)


class Unreachable(FakeOutbox):
    async def health(self):
        msg = "the database is away"
        raise ConnectionError(msg)


class Ended:
    """A service that has nothing to do, or is ended before it is done."""

    def __init__(self, error=None):
        self.error = error

    async def run(self):
        if self.error is not None:
            raise self.error

    def stop(self):
        pass

    async def health(self):
        return {}


letters = FakeLetters()
ended = Ended()
failing = Ended(KeyError("X"))
signalled = Ended(SignalledError(signal.SIGTERM))
cancelled = Ended(asyncio.CancelledError())
outbox = FakeOutbox()
mere_outbox = MereOutbox()
unreachable = Unreachable()

consumer = Consumer(Mediator(), FakeBroker(), group="mail")


class Unready(FakeBroker):
    def subscribe(self, topics, /, *, group):
        msg = "no such stream"
        raise ConfigurationError(msg)


mails = Consumer(Mediator(), Unready(), group="mail", topics=["users"])
engine = create_async_engine("sqlite+aiosqlite:///nowhere.db")
relay = Relay(Outbox(engine, MessageRegistry()), FakeBroker())

HERE = __name__

PROGRAM = "from diator.cli.main import app; app()"

SERVICE = """
import asyncio

class Service:
    stopping = None

    async def run(self):
        self.stopping = asyncio.Event()
        print("running", flush=True)
        await self.stopping.wait()
        {at_the_end}
        print("finished", flush=True)

    def stop(self):
        if not self.stopping.is_set():
            self.stopping.set()
            {at_stop}

    async def health(self):
        return {{}}

service = Service()
"""


@pytest.fixture(autouse=True)
def fresh_letters(monkeypatch):
    monkeypatch.setitem(sys.modules, HERE, sys.modules[HERE])
    monkeypatch.setattr(sys.modules[HERE], "letters", FakeLetters())
    return letters


def invoke(*arguments):
    return CliRunner().invoke(app, [*arguments])


class FakeTrimming:
    async def trim(self, topic):
        return len(topic)


trimming = FakeTrimming()


class TestTrim:
    def test_topics(self):
        """How many messages were removed is told for each topic."""
        result = invoke("trim", f"{HERE}:trimming", "a", "orders")

        assert result.output.splitlines() == ["Removed 1 of a.", "Removed 6 of orders."]

    def test_no_broker(self):
        """What cannot be trimmed is refused."""
        assert invoke("trim", f"{HERE}:letters", "a").exit_code == 1


class TestDeadLetters:
    def test_list(self):
        """The letters are listed, without what they say."""
        result = invoke("dead-letters", "list", f"{HERE}:letters")

        assert result.exit_code == 0
        assert result.output.splitlines()[1].split("\t") == [
            "1",
            "user.joined.v1",
            "events",
            "",
            "3",
            "2026-03-07T00:00:00Z",
            "ValueError: no",
        ]

    def test_json(self):
        """As JSON, each letter is a line, without what it says."""
        result = invoke("dead-letters", "list", f"{HERE}:letters", "--json")

        listed = [json.loads(line) for line in result.output.splitlines()]
        assert listed[1] == {
            "letter_id": "1",
            "topic": "events",
            "message_name": "user.joined.v1",
            "message_id": "m1",
            "key": None,
            "cause": "ValueError: no",
            "attempts": 3,
            "died_at": "2026-03-07T00:00:00Z",
            "headers": {},
        }

    def test_after(self):
        """The list can go on where another one ended."""
        result = invoke("dead-letters", "list", f"{HERE}:letters", "--after", "0")

        assert [line[0] for line in result.output.splitlines()] == ["1"]

    def test_none(self):
        """For a program, no letters are no lines."""
        letters.letters.clear()

        assert invoke("dead-letters", "list", f"{HERE}:letters").output == ""

    def test_show(self):
        """A letter is shown as JSON, with its body."""
        result = invoke("dead-letters", "show", f"{HERE}:letters", "1")

        shown = json.loads(result.output)
        assert (shown["letter_id"], shown["body"]) == ("1", '{"a": 1}')

    def test_show_bytes(self):
        """A body that is no text is shown in base64."""
        letters.letters["1"] = make_letter(1, body=b"\xff")

        result = invoke("dead-letters", "show", f"{HERE}:letters", "1")

        assert json.loads(result.output)["body_base64"] == "/w=="

    def test_show_missing(self):
        """A letter that is not there fails, with the reason."""
        result = invoke("dead-letters", "show", f"{HERE}:letters", "7")

        assert (result.exit_code, result.stderr) == (1, "diator: no letter 7\n")

    def test_replay(self):
        """Some letters are replayed, the others stay."""
        result = invoke("dead-letters", "replay", f"{HERE}:letters", "1")

        assert result.output == "Replayed 1.\n"
        assert (letters.replayed, list(letters.letters)) == (["1"], ["0"])

    def test_replay_all(self, monkeypatch):
        """All letters are replayed, however many there are."""
        many = FakeLetters(2_500)
        monkeypatch.setattr(sys.modules[HERE], "letters", many)

        result = invoke("dead-letters", "replay", f"{HERE}:letters", "--all")

        assert result.output == "Replayed 2500.\n"
        assert len(many.replayed) == 2_500

    def test_replay_all_again(self, monkeypatch):
        """Those that die again meanwhile are not replayed once more."""
        dying = DyingLetters(2_000)
        monkeypatch.setattr(sys.modules[HERE], "letters", dying)

        result = invoke("dead-letters", "replay", f"{HERE}:letters", "--all")

        assert result.output == "Replayed 2000.\n"
        assert len(dying.letters) == 2_000

    def test_drop(self):
        """Letters are dropped, and not replayed."""
        result = invoke("dead-letters", "drop", f"{HERE}:letters", "0", "1")

        assert result.output == "Dropped 2.\n"
        assert (letters.replayed, letters.letters) == ([], {})

    @pytest.mark.parametrize(
        "command, done", [("replay", "Replayed"), ("drop", "Dropped")]
    )
    def test_ids_that_are_not_there(self, command, done):
        """How many ids were not there is told when the rest is done."""
        ids = ["1", "7", "1", "8"]

        result = invoke("dead-letters", command, f"{HERE}:letters", *ids)

        assert (result.exit_code, result.stdout) == (1, f"{done} 1.\n")
        assert result.stderr == "diator: there was no dead letter for 2 of 3 ids\n"

    @pytest.mark.parametrize("chosen", [[], ["1", "--all"]])
    def test_ids_or_all(self, chosen):
        """What is meant has to be said."""
        result = invoke("dead-letters", "drop", f"{HERE}:letters", *chosen)

        assert result.exit_code == 2
        assert "name ids, or --all" in result.stderr

    def test_another_thing(self):
        """What holds no dead letters is told so."""
        result = invoke("dead-letters", "list", f"{HERE}:outbox")

        assert result.exit_code == 1
        assert "it has no list, get, replay, drop" in result.stderr
        assert "name `broker.dead_letters(topic, group)` or `Outbox" in result.stderr


class TestVersion:
    def test_version(self):
        """The version is printed, without any command."""
        result = invoke("--version")

        assert (result.exit_code, result.output) == (
            0,
            f"diator {metadata.version('diator')}\n",
        )


class TestOutbox:
    def test_status(self):
        """What waits is printed as JSON."""
        result = invoke("outbox", "status", f"{HERE}:outbox")

        assert json.loads(result.output) == {"pending": 3}

    def test_outbox_itself(self):
        """An outbox can be looked at without a relay."""
        result = invoke("outbox", "status", f"{HERE}:mere_outbox")

        assert json.loads(result.output) == {
            "pending": 3,
            "oldest_seconds": 1.5,
            "dead": 0,
        }

    def test_another_thing(self):
        """What is neither outbox nor relay is told so."""
        result = invoke("outbox", "status", f"{HERE}:letters")

        assert result.exit_code == 1
        assert "no status or health; name the Outbox or the Relay" in result.stderr

    def test_consumer(self):
        """A consumer has a health, too, and no outbox."""
        result = invoke("outbox", "status", f"{HERE}:consumer")

        assert result.exit_code == 1
        assert (
            "a Consumer has no outbox: name the Outbox, or the Relay" in result.stderr
        )

    def test_unreachable(self):
        """A database that is away fails, without a traceback."""
        result = invoke("outbox", "status", f"{HERE}:unreachable")

        assert (result.exit_code, result.stderr) == (
            1,
            "diator: the database is away\n",
        )

    @pytest.mark.parametrize(
        "database, told",
        [
            ("empty.db", "the tables of the outbox are missing: create them with"),
            ("no/folder.db", "OperationalError: (sqlite3.OperationalError) unable to"),
        ],
    )
    def test_no_tables(self, database, told, tmp_path, monkeypatch):
        """What the database says is one line, also without tables or database."""

        @asynccontextmanager
        async def open_outbox():
            url = f"sqlite+aiosqlite:///{tmp_path / database}"
            engine = create_async_engine(url)
            try:
                yield Outbox(engine, MessageRegistry())
            finally:
                await engine.dispose()

        monkeypatch.setattr(sys.modules[HERE], "mere_outbox", open_outbox)

        result = invoke("outbox", "status", f"{HERE}:mere_outbox")

        [line] = result.stderr.splitlines()
        assert (result.exit_code, line.startswith(f"diator: {told}")) == (1, True)

    def test_no_place(self):
        """A place that is none fails, with the reason."""
        result = invoke("outbox", "status", "nowhere")

        assert result.exit_code == 1
        assert "write package.module:attribute" in result.stderr


class TestHealth:
    def test_healthy(self, tmp_path):
        """The health of what runs is printed."""
        file = tmp_path / "health.json"
        file.write_text(json.dumps({"written_at": datetime.now(UTC).timestamp()}))

        result = invoke("health", str(file))

        assert result.exit_code == 0
        assert "written_at" in json.loads(result.output)

    def test_ended(self, tmp_path):
        """A probe fails where nothing runs."""
        result = invoke("health", str(tmp_path / "health.json"))

        assert result.exit_code == 1
        assert "nothing seems to run" in result.stderr


class TestService:
    @pytest.mark.parametrize(
        "command, service, told",
        [
            ("consume", "relay", "this is a Relay: use `diator relay`"),
            ("relay", "consumer", "this is a Consumer: use `diator consume`"),
        ],
    )
    def test_of_another_command(self, command, service, told):
        """A relay is not run as a consumer, nor a consumer as a relay."""
        result = invoke(command, f"{HERE}:{service}")

        assert (result.exit_code, result.stderr) == (1, f"diator: {told}\n")

    @pytest.mark.parametrize(
        "command, wanted", [("consume", "the Consumer"), ("relay", "the Relay")]
    )
    def test_no_service(self, command, wanted):
        """What is no service is told by its type, and what to name instead."""
        result = invoke(command, f"{HERE}:letters")

        assert result.exit_code == 1
        assert "of the type FakeLetters is not what this" in result.stderr
        assert f"name {wanted}, a function" in result.stderr

    def test_of_this_command(self):
        """A consumer is run as one."""
        result = invoke("consume", f"{HERE}:consumer")

        assert "there is nothing to receive" in result.stderr

    def test_log_level(self):
        """A log level that is none is refused."""
        result = invoke("relay", f"{HERE}:ended", "--log-level", "nonsense")

        assert result.exit_code == 2
        assert "there is no log level 'nonsense'" in result.stderr

    @pytest.mark.parametrize(
        "level, told",
        [
            ("DEBUG", ["diator debug", "diator info", "other info"]),
            ("INFO", ["diator info", "other info"]),
            ("ERROR", []),
        ],
    )
    def test_what_is_logged(self, level, told, tmp_path):
        """What is finer than INFO is logged of diator alone."""
        at_the_end = (
            "import logging; [getattr(logging.getLogger(name), at)(f'{name} {at}')"
            " for name in ('diator', 'other') for at in ('debug', 'info')]"
        )
        with start("relay", tmp_path, at_the_end, "--log-level", level) as process:
            assert process.stdout.readline() == "running\n"
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)

        lines = [line.split(maxsplit=4)[4] for line in errors.splitlines()]
        assert [line for line in lines if "relaying" not in line] == told

    def test_debug(self, caplog):
        """The level is diator's, whatever the application has configured."""
        # To which level it goes back afterwards.
        with caplog.at_level(logging.INFO, "diator"):
            invoke("relay", f"{HERE}:ended", "--log-level", "debug")

            assert logging.getLogger("diator").level == logging.DEBUG

    def test_error_of_the_application(self):
        """An error of the application's own is not hidden behind a line."""
        assert isinstance(invoke("relay", f"{HERE}:failing").exception, KeyError)

    def test_told(self, caplog):
        """A consumer tells what it consumes."""
        with caplog.at_level(logging.INFO, "diator"):
            invoke("consume", f"{HERE}:mails")

        assert "topics=['users'] group='mail'" in caplog.text

    @pytest.mark.parametrize("command", ["relay", "consume"])
    @pytest.mark.parametrize(
        "service, code", [("ended", 0), ("cancelled", 130), ("signalled", 143)]
    )
    def test_ends_by_itself(self, command, service, code):
        """How a service ends is what the shell is told."""
        assert invoke(command, f"{HERE}:{service}").exit_code == code

    @pytest.mark.parametrize(
        "command, doing", [("relay", "relaying"), ("consume", "consuming")]
    )
    def test_ends_well(self, command, doing, tmp_path):
        """A service that a signal ends finishes, and answers 0."""
        with start(command, tmp_path, "pass") as process:
            assert process.stdout.readline() == "running\n"
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=20)

        assert (process.returncode, output) == (0, "finished\n")
        begins, has_ended = errors.splitlines()
        assert f"INFO diator {doing} target='some_service:" in begins
        assert f"INFO diator {doing} has ended target='some_service:" in has_ended

    @pytest.mark.parametrize(
        "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
    )
    def test_signalled_again(self, number, code, tmp_path):
        """One that a second signal ends answers as shells do."""
        with start(
            "relay",
            tmp_path,
            "await asyncio.Event().wait()",
            at_stop="print('stopping', flush=True)",
        ) as process:
            assert process.stdout.readline() == "running\n"
            other = {signal.SIGINT, signal.SIGTERM} - {number}
            process.send_signal(other.pop())
            assert process.stdout.readline() == "stopping\n"
            process.send_signal(number)
            output, errors = process.communicate(timeout=20)

        assert (process.returncode, output) == (code, "")
        assert "Traceback" not in errors

    def test_fails(self, tmp_path):
        """One that fails answers 1, with the traceback."""
        with start("relay", tmp_path, "1 / 0") as process:
            assert process.stdout.readline() == "running\n"
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)

        assert process.returncode == 1
        assert "ZeroDivisionError" in errors


def start(command, folder, at_the_end, *options, at_stop="pass"):
    (folder / "some_service.py").write_text(
        SERVICE.format(at_the_end=at_the_end, at_stop=at_stop)
    )
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, command, "some_service:service", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
