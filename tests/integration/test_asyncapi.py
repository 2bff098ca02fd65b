"""The documents of contracts, judged by the official schema of AsyncAPI."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from jsonschema import Draft7Validator

from tests.unit.contracts.test_contract import Deliver, Ship, make_contract

# The project's own package of its schemas; it is in npm's registry alone.
PACKAGE = "@asyncapi/specs@6.11.1"


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    if shutil.which("npm") is None:
        pytest.fail("npm is needed, to get the schema of AsyncAPI")
    folder = tmp_path_factory.mktemp("asyncapi")
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", PACKAGE],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    [schema] = folder.glob("node_modules/@asyncapi/specs/schemas/3.0.0.json")
    # The validator knows itself what `$id`s lead to, so that nothing is fetched.
    return Draft7Validator(json.loads(schema.read_text()))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"receives": [Ship]},
        {"cloud_events": "structured"},
        {"cloud_events": "binary"},
    ],
    ids=str,
)
def test_valid(official, options):
    """What a contract gives is AsyncAPI 3.0."""
    official.validate(make_contract(**options).asyncapi())


def test_valid_models(official):
    """So it is with what pydantic's models say of themselves."""
    official.validate(make_contract(Deliver).asyncapi())


def test_invalid(official):
    """The schema refuses what is no such document."""
    document = make_contract().asyncapi()
    document["operations"]["send.OrderPlaced.v1"]["action"] = "shout"

    assert not official.is_valid(document)
