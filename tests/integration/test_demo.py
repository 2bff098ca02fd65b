"""The demo tells the truth, in memory and through a real Redis."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LABEL_WIDTH = len("middleware  ")
TIMEOUT_SECONDS = 60

TITLES = [
    "A command, and the events that it raises",
    "A query, which the transaction is not for",
    "A command that breaks its own rules, and reaches no handler",
    "A command that breaks a rule of the domain, and is rolled back",
]
RECEIVED = "What a subscriber has received from Redis"


def run_demo(*arguments, stdout=subprocess.PIPE):
    """Run the demo as `./dev demo` does, with its output in a pipe."""
    return subprocess.run(
        [sys.executable, "examples/meetings.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src", "PYTHONWARNINGS": "error"},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def read_chapters(output):
    """Return the lines of each chapter, as (label, text without indentation)."""
    chapters = {}
    for title, body in re.findall(r"(.+)\n-+\n((?:.+\n|\n(?=pipeline))*)", output):
        chapters[title] = [
            (line[:LABEL_WIDTH].strip(), line[LABEL_WIDTH:].strip())
            for line in body.splitlines()
            if line
        ]
    return chapters


def chapters_of(*arguments):
    """Return the chapters of a demo that ran well and had nothing to complain of."""
    process = run_demo(*arguments)
    assert process.stderr == ""
    assert process.returncode == 0
    return read_chapters(process.stdout)


def texts(lines, *labels):
    return [text for label, text in lines if label in labels]


def messages(lines, label):
    """Return the JSON that follows each line with this label."""
    decoder = json.JSONDecoder()
    found = []
    for index, line in enumerate(lines):
        if line[0] == label:
            text = "".join(text for _, text in lines[index:])
            found.append(decoder.raw_decode(text, text.index("{"))[0])
    return found


class TestInMemory:
    def test_chapters(self):
        """Each chapter is told, in this order."""
        assert list(chapters_of()) == TITLES

    def test_order(self):
        """A command passes its middlewares and handler, then its events pass theirs."""
        lines = chapters_of()[TITLES[0]]

        steps = texts(
            lines, "middleware", "database", "handler", "raised", "pipeline 2"
        )
        assert steps == [
            "> logging",
            "> validation",
            "> transaction",
            "begin",
            "> event collection",
            "JoinMeetingHandler: user 7 joins",
            "SeatTaken",
            "UserJoined",
            "< event collection",
            "commit",
            "< transaction",
            "< validation",
            "< logging",
            "SeatTaken(seats_left=0)",
            "> logging",
            "UpdateDoorSign: seats left: 0",
            "count_seats: one more",
            "< logging",
            "UserJoined(meeting_id=1, user_id=7)",
            "> logging",
            "welcome: hello, user 7",
            "< logging",
        ]

    def test_message(self):
        """The notification event goes to the broker, after its handlers."""
        lines = chapters_of()[TITLES[0]]

        [message] = messages(lines, "broker")
        assert message["message_name"] == "UserJoined"
        assert message["payload"]["user_id"] == 7
        labels = [label for label, _ in lines]
        assert labels.index("broker") > max(
            index for index, label in enumerate(labels) if label == "handler"
        )

    def test_refused(self):
        """What breaks its own rules reaches neither a transaction nor a handler."""
        lines = chapters_of()[TITLES[2]]

        assert not texts(lines, "database", "handler", "pipeline 2", "broker")
        [error] = texts(lines, "error")
        assert error.startswith("ValidationError: ")
        assert texts(lines, "emitted") == ["nothing"]

    def test_rolled_back(self):
        """What breaks a rule of the domain leaves neither a change nor an event."""
        chapters = chapters_of()
        lines = chapters[TITLES[3]]

        assert texts(lines, "database") == ["begin", "roll back"]
        assert texts(lines, "raised") == ["SeatTaken"]
        assert not texts(lines, "pipeline 2", "broker")
        assert texts(lines, "emitted") == ["nothing", "nothing"]
        assert texts(lines, "answer") == texts(chapters[TITLES[1]], "answer")

    def test_reader_leaves(self):
        """It says nothing when nobody reads on, as behind `| head`."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            process = run_demo(stdout=writer)
        finally:
            os.close(writer)

        assert process.stderr == ""


class TestWithRedis:
    def test_received(self, redis_url):
        """A subscriber has received the very message that the broker was given."""
        chapters = chapters_of("--redis", redis_url)

        [sent] = messages(chapters[TITLES[0]], "broker")
        assert messages(chapters[RECEIVED], "received") == [sent]
        assert texts(chapters[RECEIVED], "channel") == [
            f"python_diator_channel:notification_event:{sent['message_id']}"
        ]

    def test_unreachable(self):
        """Where no Redis answers, one line says so, without the password."""
        process = run_demo("--redis", "redis://:secret@127.0.0.1:1/0")

        assert process.returncode == 1
        assert process.stdout == ""
        assert process.stderr.startswith("Redis cannot be reached: ")
        assert "127.0.0.1:1" in process.stderr
        assert "secret" not in process.stderr
        assert len(process.stderr.splitlines()) == 1

    def test_no_url(self):
        """What is no URL of a Redis is refused in one line."""
        process = run_demo("--redis", "localhost")

        assert process.returncode == 1
        assert process.stderr.startswith("This is no URL of a Redis: ")
        assert len(process.stderr.splitlines()) == 1
