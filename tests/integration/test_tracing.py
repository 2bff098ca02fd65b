"""One trace goes through two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TREE = """\
1 trace in 2 processes
sender    POST /meetings/1/users  (internal)
sender      send JoinMeeting  (internal)
sender        handle UserJoined  (internal)
sender        publish tracing  (producer)
receiver      process UserJoined  (consumer)
receiver        send WelcomeUser  (internal)
"""


def test_example(own_redis):
    """The example prints one tree of the spans of both."""
    run = subprocess.run(
        [sys.executable, "-m", "examples.tracing", "--redis", own_redis.url],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"src{os.pathsep}.",
            "PYTHONWARNINGS": "error",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert run.stderr == "welcome, user 7\n"
    assert run.stdout == TREE
