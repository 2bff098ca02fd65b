"""The environments of the peers, made at first use and made anew when pins change."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".venv" / "peers"
BY_HAND = "by_hand"
OURS = "diator"
_PEERS = tomllib.loads((Path(__file__).parent / "peers.toml").read_text())

# All adapters encode and check messages by it.
_FOR_ALL = "msgspec"


class InstallationError(Exception):
    """A peer cannot be installed, and the message says why."""


@dataclass(frozen=True)
class Peer:
    """
    One of those that are compared.

    Attributes:
        adapter: The name of its adapter.
        name: What it is called in tables.
        requires: What pip is asked to install.
        imports: What an application imports.

    """

    adapter: str
    name: str
    requires: Sequence[str]
    imports: str


PEERS = [Peer(adapter, **entry) for adapter, entry in _PEERS["peers"].items()]


@dataclass(frozen=True)
class Environment:
    """
    Where a peer runs.

    Attributes:
        peer: The peer.
        python: Its Python.
        version: The peer's version, or none if it is no package.
        installed: The versions of all packages.

    """

    peer: Peer
    python: Path
    version: str
    installed: dict[str, str]


def make_environment(
    peer: Peer, base_python: str, version: str, pip: str
) -> Environment:
    """
    Make a peer's environment, unless there is one up to date.

    Args:
        peer: The peer.
        base_python: The Python that the environment is made from.
        version: That Python's version, such as 3.12.
        pip: The folder of pip, which the environment itself need not have, or uv.

    Raises:
        InstallationError: It cannot be installed on this Python.

    """
    folder = ENVIRONMENTS / version / peer.adapter
    python = folder / "bin" / "python"
    stamp = folder / "stamp.json"
    wanted = _fingerprint(peer, base_python)
    if stamp.exists():
        known = json.loads(stamp.read_text())
        if known["wanted"] == wanted:
            if "failed" in known:
                raise InstallationError(known["failed"])
            return _environment(peer, python, known["installed"])
    print(f"Preparing {folder.relative_to(ROOT)}, once", flush=True)
    _run(base_python, "-m", "venv", "--clear", "--without-pip", str(folder))
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(_PEERS["constraints"]))
    install = [
        *_installer(pip, python, "install"),
        *("--quiet", "--constraint", str(constraints), *peer.requires, _FOR_ALL),
    ]
    try:
        _run(*install)
    except InstallationError as error:
        # Whether it can be installed does not change by trying again and again.
        reason = explain(str(error), peer.requires)
        stamp.write_text(json.dumps({"wanted": wanted, "failed": reason}))
        raise InstallationError(reason) from error
    frozen = json.loads(_run(*_installer(pip, python, "list"), "--format=json"))
    # Pip shows itself, too, although it is elsewhere.
    installed = {
        each["name"]: each["version"] for each in frozen if each["name"] != "pip"
    }
    stamp.write_text(json.dumps({"wanted": wanted, "installed": installed}))
    return _environment(peer, python, installed)


def _environment(peer: Peer, python: Path, installed: dict[str, str]) -> Environment:
    versions = {_normal(name): version for name, version in installed.items()}
    return Environment(peer, python, versions.get(_distribution(peer), ""), installed)


def _distribution(peer: Peer) -> str:
    if peer.adapter in (BY_HAND, OURS):
        return OURS
    pinned = next(each for each in peer.requires if "==" in each)
    return _normal(re.split(r"[\[=]", pinned)[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _fingerprint(peer: Peer, base_python: str) -> str:
    content = [str(ROOT), base_python, list(peer.requires), _PEERS["constraints"]]
    if peer.adapter == OURS:
        content.append((ROOT / "pyproject.toml").read_text())
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _installer(pip: str, python: Path, command: str) -> list[str]:
    if Path(pip).name == "uv":
        return [pip, "pip", command, "--python", str(python)]
    return [str(python), pip, command, "--disable-pip-version-check"]


def _run(*command: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(  # noqa: S603  # it runs what it makes itself
        command, capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        raise InstallationError(done.stderr or done.stdout)
    return done.stdout


def explain(output: str, requires: Sequence[str]) -> str:
    """Find in what pip prints why something cannot be installed."""
    # It lists all versions that are for other Pythons.
    needed = dict(re.findall(r"([^ ;]+) Requires-Python ([^;\n]+)", output))
    for requirement in requires:
        version = requirement.partition("==")[2]
        if version in needed:
            return f"needs Python {needed[version].strip()}"
    errors = [line for line in output.splitlines() if line.startswith("ERROR")]
    return (errors or output.splitlines() or ["pip failed"])[-1]
