"""How a contender takes orders: a JSON object a line on stdin, an answer a line on stdout."""

import json
import sys
from collections.abc import Callable
from typing import Any

SETUP: dict[str, Any] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
"""``host``, ``port``, ``redis``, ``connections``: what the harness has started."""


def serve(**actions: Callable[..., Any]) -> None:
    """Answer each order ``{"do": name, …}`` with what the action returns, until stdin ends."""
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer = actions[order.pop("do")](**order)
        print(json.dumps(answer), flush=True)
