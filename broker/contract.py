"""The contract as files for others: JSON Schema of every record, and an AsyncAPI 3 description of the topics.

``python -m broker.contract`` writes them to ``broker/schema``; a test compares them
with ``broker.wire`` and ``broker.drawing``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from broker import drawing, wire
from broker.published import Publication
from broker.topics import KINDS, MAX_BYTES, PUBLICATION_ADDRESS, Kind

FOLDER = Path(__file__).parent / "schema"
RECORDS: dict[Kind, type[wire.Record]] = {
    "event": wire.Event,
    "counts": wire.Counts,
    "clip": drawing.Clip,
    "plate": drawing.Plate,
    "status": wire.Status,
    "receipt": wire.Receipt,
}
_PURPOSE: dict[Kind, str] = {
    "event": "What happened at a place, within a bin of time. QoS 1, never retained.",
    "counts": "How many road users entered or crossed in a quarter of an hour. QoS 1, never retained.",
    "clip": "The drawing of the seconds around an event, known by the sha256 of the payload. QoS 1.",
    "plate": "What clips of a site are drawn on, known by the sha256 of the payload. QoS 1.",
    "status": "A node's health. QoS 1, retained, and the node's last will.",
    "receipt": "What the collector has committed: event ids, hashes of clips and plates, numbers of counts.",
}


def json_schema(record: type[wire.Record]) -> dict[str, Any]:
    """Return a record's JSON Schema as it stands on the wire."""
    schema = record.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 description, seen from the node: it sends all but the receipt."""
    parameters = {
        "site": {"description": "The site's id: a-z, 0-9 and -."},
        "node": {"description": "The node's id: a-z, 0-9 and -."},
    }
    channels: dict[str, Any] = {
        kind: {
            "address": f"nearmiss/v1/{{site}}/{{node}}/{kind}",
            "parameters": parameters,
            "messages": {kind: {"$ref": f"#/components/messages/{kind}"}},
        }
        for kind in KINDS
    }
    operations: dict[str, Any] = {
        f"{'receive' if kind == 'receipt' else 'send'}_{kind}": {
            "action": "receive" if kind == "receipt" else "send",
            "channel": {"$ref": f"#/channels/{kind}"},
            "bindings": {"mqtt": {"qos": 1, "retain": kind == "status"}},
        }
        for kind in KINDS
    }
    messages: dict[str, Any] = {
        kind: {
            "contentType": "application/json",
            "description": f"{_PURPOSE[kind]} At most {MAX_BYTES[kind]} bytes.",
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-2020-12",
                "schema": {"$ref": f"{kind}.json"},
            },
        }
        for kind in KINDS
    }
    channels["publication"] = {
        "address": PUBLICATION_ADDRESS,
        "parameters": {
            "site": parameters["site"],
            "rule": {"description": "What happened: a rule of the event record."},
        },
        "messages": {"publication": {"$ref": "#/components/messages/publication"}},
    }
    operations["receive_publication"] = {
        "action": "receive",
        "channel": {"$ref": "#/channels/publication"},
        "bindings": {"mqtt": {"qos": 1, "retain": True}},
    }
    messages["publication"] = {
        "contentType": "application/json",
        "description": "The last publication of a rule at a site: public, retained. QoS 1.",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": "publication.json"},
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "nearmiss",
            "version": "1",
            "description": "What a node says of a place, and what the collector answers. Closed records.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def files() -> dict[str, str]:
    """Return name and content of every file of the contract."""
    documents: dict[str, Any] = {f"{kind}.json": json_schema(record) for kind, record in RECORDS.items()}
    documents["local_event.json"] = json_schema(wire.LocalEvent)  # a line of events.jsonl
    documents["publication.json"] = json_schema(Publication)  # what a collector publishes
    documents["asyncapi.json"] = asyncapi()
    return {name: json.dumps(document, indent=1) + "\n" for name, document in documents.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
