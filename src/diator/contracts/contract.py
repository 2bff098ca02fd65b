"""What other programs may rely on: AsyncAPI and JSON Schema of messages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from diator.contracts.schemas import Schema, is_list, is_schema, schemas_of
from diator.exceptions import ConfigurationError
from diator.handler import qualified_name
from diator.messages.cloud_events import (
    CONTENT_TYPE,
    EXTENSIONS,
    PREFIX,
    STRUCTURED,
)
from diator.messages.headers import (
    CAUSATION_ID,
    CORRELATION_ID,
    TRACEPARENT,
    TRACESTATE,
)
from diator.messages.registry import Entry, MessageRegistry

ASYNCAPI_VERSION = "3.0.0"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

JSON = "application/json"

STRING = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
ID = {"type": "string", "format": "uuid"}

REQUIRED = ["specversion", "id", "source", "type"]
"""The attributes that every CloudEvent has."""


class Contract:
    """
    Describes the messages of a program for those who write others.

    Args:
        registry: The types of messages.
        title: The name of the program.
        version: The version of the contract, not that of the program.
        receives: Those of the types that the program does not send but takes from
            others. Fields that have a default may be missing in them.
        cloud_events: How messages are written, where they are CloudEvents: the `mode`
            of the `CloudEventsBroker`.

    Raises:
        ConfigurationError: There is no message in the registry, or a received type is
            not in it, or there is no such mode.

    """

    def __init__(
        self,
        registry: MessageRegistry,
        *,
        title: str,
        version: str,
        receives: Collection[type] = (),
        cloud_events: Literal["structured", "binary"] | None = None,
    ) -> None:
        self._entries = dict(registry)
        if not self._entries:
            raise ConfigurationError(_nothing_in(registry))
        for received in receives:
            if received not in self._entries:
                msg = (
                    f"{qualified_name(received)} is not in the registry: add it, or "
                    "leave it out of receives="
                )
                raise ConfigurationError(msg)
        if cloud_events not in (None, "structured", "binary"):
            msg = f"cloud_events must be 'structured' or 'binary', not {cloud_events!r}"
            raise ConfigurationError(msg)
        self._title = title
        self._version = version
        self._receives = set(receives)
        self._cloud_events = cloud_events

    def asyncapi(self) -> dict[str, Any]:
        """
        Give the contract as an AsyncAPI 3.0 document (https://www.asyncapi.com).

        Raises:
            ConfigurationError: A type has a field that has no form in JSON.

        """
        bodies, named = self._schemas("#/components/schemas/")
        channels: dict[str, Any] = {}
        operations: dict[str, Any] = {}
        messages: dict[str, Any] = {}
        for message_type, entry in self._entries.items():
            action = "receive" if message_type in self._receives else "send"
            channel = channels.setdefault(
                entry.topic, {"address": entry.topic, "messages": {}}
            )
            channel["messages"][entry.name] = {
                "$ref": f"#/components/messages/{entry.name}"
            }
            in_channel = {"$ref": f"#/channels/{entry.topic}/messages/{entry.name}"}
            operations[f"{action}.{entry.name}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{entry.topic}"},
                "messages": [in_channel],
            }
            messages[entry.name] = {
                "name": entry.name,
                **_told(message_type),
                "contentType": self._content_type,
                "headers": self._headers(entry),
                "correlationId": {"location": f"$message.header#/{CORRELATION_ID}"},
                "payload": _in_draft_7(bodies[message_type]),
            }
        return {
            "asyncapi": ASYNCAPI_VERSION,
            "info": {"title": self._title, "version": self._version},
            "defaultContentType": self._content_type,
            "channels": channels,
            "operations": operations,
            "components": {"messages": messages, "schemas": _in_draft_7(named)},
        }

    def json_schema(self) -> dict[str, Any]:
        """
        Give one JSON Schema (2020-12) for the bodies of all messages.

        Raises:
            ConfigurationError: A type has a field that has no form in JSON.

        """
        bodies, named = self._schemas("#/$defs/")
        messages = {
            f"message.{entry.name}": {**_told(message_type), **bodies[message_type]}
            for message_type, entry in self._entries.items()
        }
        return {
            "$schema": DIALECT,
            "title": self._title,
            "oneOf": [{"$ref": f"#/$defs/{name}"} for name in messages],
            "$defs": {**messages, **named},
        }

    @property
    def _content_type(self) -> str:
        return STRUCTURED if self._cloud_events == "structured" else JSON

    def _schemas(self, prefix: str) -> tuple[dict[type, Schema], dict[str, Schema]]:
        """Give the schema of each type's body, and the named ones that they need."""
        sent = [each for each in self._entries if each not in self._receives]
        received = [each for each in self._entries if each in self._receives]
        # What is a part of both is not the same in both, and has two names.
        directions = [(sent, True, ""), (received, False, ".received")]
        bodies: dict[type, Schema] = {}
        named: dict[str, Schema] = {}
        for types, written, suffix in directions:
            payloads, parts = schemas_of(
                types, written=written, ref_template=f"{prefix}{{name}}{suffix}"
            )
            named |= {f"{name}{suffix}": schema for name, schema in parts.items()}
            for message_type, payload in zip(types, payloads, strict=True):
                bodies[message_type] = self._body(self._entries[message_type], payload)
        return bodies, dict(sorted(named.items()))

    def _body(self, entry: Entry, payload: Schema) -> Schema:
        if self._cloud_events == "binary":
            return payload
        if self._cloud_events == "structured":
            attributes = _attributes(entry)
            return _object(
                {**attributes, "data": payload}, required=[*REQUIRED, "data"]
            )
        fields: dict[str, Schema] = {
            "message_type": {"const": entry.message_type},
            "message_name": {"const": entry.name},
            "message_id": ID,
            "payload": payload,
        }
        return _object(fields, required=list(fields))

    def _headers(self, entry: Entry) -> Schema:
        headers: dict[str, Schema] = {
            CORRELATION_ID: STRING,
            CAUSATION_ID: STRING,
            TRACEPARENT: STRING,
            TRACESTATE: STRING,
        }
        required: list[str] = []
        if self._cloud_events == "structured":
            headers |= {CONTENT_TYPE: {"const": STRUCTURED}}
        if self._cloud_events == "binary":
            attributes = _attributes(entry)
            headers |= {CONTENT_TYPE: attributes.pop("datacontenttype")}
            headers |= {f"{PREFIX}{name}": each for name, each in attributes.items()}
            required = [f"{PREFIX}{name}" for name in REQUIRED]
        return _object(headers, required=required)


def _nothing_in(registry: MessageRegistry) -> str:
    leaving = [qualified_name(each) for each in registry.unregistered()]
    if leaving:
        return (
            f"the registry has no messages, though {', '.join(sorted(leaving))} left "
            "under the names of their classes: before anything is published, add each "
            "type with registry.add(<type>, name=...)"
        )
    return (
        "the registry has no messages: add each event and command that goes to other "
        "programs or comes from them, with registry.add(<type>, name=...), to the "
        "registry of the mediator (mediator.event_emitter.registry)"
    )


def _attributes(entry: Entry) -> dict[str, Schema]:
    """Describe the attributes of a CloudEvent."""
    return {
        "specversion": {"const": "1.0"},
        "id": STRING,
        "source": {"type": "string", "format": "uri-reference"},
        "type": {"const": entry.name},
        "time": TIME,
        "subject": STRING,
        "datacontenttype": {"const": JSON},
        **dict.fromkeys(EXTENSIONS.values(), STRING),
    }


def _object(properties: dict[str, Schema], *, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _told(message_type: type) -> dict[str, str]:
    """Give a type's name, and the first line of its docstring if somebody wrote one."""
    told = {"title": message_type.__name__}
    first_line = (message_type.__doc__ or "").strip().partition("\n")[0]
    # Dataclasses have one made of their fields.
    if first_line and not first_line.startswith(f"{message_type.__name__}("):
        told["description"] = first_line
    return told


def _in_draft_7(schema: Any) -> Any:
    """Say it as the older JSON Schema does that AsyncAPI goes by: tuples differ."""
    if is_list(schema):
        return [_in_draft_7(each) for each in schema]
    if not is_schema(schema):
        return schema
    older = {
        # Fields may have the names of keywords.
        name: {field: _in_draft_7(of_field) for field, of_field in each.items()}
        if name == "properties"
        else _in_draft_7(each)
        for name, each in schema.items()
    }
    if "prefixItems" in older:
        older["additionalItems"] = older.pop("items", True)
        older["items"] = older.pop("prefixItems")
    return older
