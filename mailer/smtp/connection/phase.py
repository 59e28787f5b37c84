"""Where a session stands between connecting and being closed."""

from enum import Enum, auto


class Phase(Enum):
    """Where a session stands."""

    CONNECTING = auto()
    SHAKING_HANDS = auto()
    LISTENING = auto()
    """A command of the handshake waits for its reply."""
    ASKING = auto()
    """A call that may block is being made for the handshake."""
    READY = auto()
    SENDING = auto()
    LEAVING = auto()
    CLOSED = auto()
