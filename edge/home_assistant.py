"""A node as a device of Home Assistant: its health, and nothing of the street.

One retained message tells Home Assistant which fields of the node's status to show (MQTT device
discovery). Off unless node.toml switches it on.

Source: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import json
from typing import Any

from broker.topics import Address
from broker.wire import Status
from edge import __version__

# A status comes every 30 s; without four of them the node counts as gone.
EXPIRES_S = 120
SENSORS: dict[str, dict[str, Any]] = {
    "state": {
        "name": "State",
        "device_class": "enum",
        "options": ["starting", "running", "degraded", "stopped", "lost"],
    },
    "source": {
        "name": "Camera",
        "device_class": "enum",
        "options": ["connecting", "live", "lost", "frozen", "other_size"],
    },
    "frame_rate_hz": {"name": "Frame rate", "unit_of_measurement": "Hz", "device_class": "frequency"},
    "time_sigma_s": {"name": "Time error", "unit_of_measurement": "s", "device_class": "duration"},
    "frames_dropped": {"name": "Frames dropped", "state_class": "total_increasing"},
    "reconnects": {"name": "Reconnects", "state_class": "total_increasing"},
    "outbox_rows": {"name": "Messages waiting", "state_class": "measurement"},
    "evicted_clips": {"name": "Clips given up", "state_class": "total_increasing"},
    "evicted_events": {"name": "Events given up", "state_class": "total_increasing"},
    "memory_mb": {"name": "Memory", "unit_of_measurement": "MB", "device_class": "data_size"},
    "cpu_percent": {"name": "Processor", "unit_of_measurement": "%", "state_class": "measurement"},
}


def announcement(site: str, node: str, *, prefix: str) -> tuple[str, bytes]:
    """Return the topic and the payload that announce a node; to be published retained."""
    unknown = set(SENSORS) - set(Status.model_fields)
    assert not unknown, f"a status has no {unknown}"
    device = f"nearmiss_{site}_{node}"
    components: dict[str, dict[str, Any]] = {
        name: {
            "platform": "sensor",
            "unique_id": f"{device}_{name}",
            "value_template": f"{{{{ value_json.{name} }}}}",
            "entity_category": "diagnostic",
            "expire_after": EXPIRES_S,
            **told,
        }
        for name, told in SENSORS.items()
    }
    components["problem"] = {
        "platform": "binary_sensor",
        "unique_id": f"{device}_problem",
        "name": "Problem",
        "device_class": "problem",
        "value_template": "{{ 'ON' if value_json.state in ('degraded', 'lost') else 'OFF' }}",
        "expire_after": EXPIRES_S,
    }
    payload = {
        "device": {
            "identifiers": [device],
            "name": f"nearmiss {site} {node}",
            "manufacturer": "nearmiss",
            "sw_version": __version__,
        },
        "origin": {"name": "nearmiss", "sw_version": __version__},
        "state_topic": Address(site, node, "status").topic,
        "qos": 1,
        "components": components,
    }
    # The node's id alone on its level, so that a broker can bind the topic to the certificate's name.
    return f"{prefix}/device/{node}/config", json.dumps(payload).encode()
