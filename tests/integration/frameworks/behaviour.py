"""What every web framework's shop does, whichever it is."""

from __future__ import annotations

import pytest

JSON = {"Content-Type": "application/json"}


class OverHttp:
    """The cases; the fixture `client` is a client of the application."""

    async def test_command_and_query(self, client):
        """An order that was placed can be read."""
        placed = await client.post("/orders", json={"product": "tea", "amount": 2})
        assert (placed.status_code, placed.json()) == (201, 1)

        read = await client.get("/orders/1")
        assert read.status_code == 200
        assert read.json() == {"order_id": 1, "product": "tea", "amount": 2}

    async def test_invalid(self, client):
        """What breaks the rules of a request is told, with the field."""
        answer = await client.post("/orders", json={"product": "tea", "amount": 0})

        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["errors"] == [
            {"field": "amount", "detail": "Expected `int` >= 1"}
        ]

    async def test_mistyped(self, client):
        """So is what is of another type, before there is a request."""
        answer = await client.post("/orders", json={"product": "tea", "amount": "two"})

        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert [each["field"] for each in answer.json()["errors"]] == ["amount"]

    @pytest.mark.parametrize("body", [b"null", b"[]", b"{}"])
    async def test_unreadable(self, client, body):
        """A body that is no request is refused."""
        answer = await client.post("/orders", content=body, headers=JSON)

        assert answer.status_code == 422

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
    async def test_no_json(self, client, body):
        """So is one that is no JSON: whose fault it is, the status says."""
        answer = await client.post("/orders", content=body, headers=JSON)

        assert 400 <= answer.status_code < 500

    async def test_forbidden(self, client):
        """What a policy refuses is forbidden, with why."""
        answer = await client.post("/orders", json={"product": "tea", "amount": 101})

        assert answer.status_code == 403
        assert "at most 100 of a product" in answer.json()["title"]

    async def test_huge(self, client):
        """A number that the database has no room for is no fault of the server."""
        placed = await client.post("/orders", json={"product": "tea", "amount": 2**70})
        read = await client.get(f"/orders/{2**70}")

        assert (placed.status_code, read.status_code) == (403, 422)

    async def test_not_found(self, client):
        """What the domain does not have is not found."""
        answer = await client.get("/orders/7")

        assert answer.status_code == 404
        assert answer.json() == {"title": "there is no order 7", "status": 404}
