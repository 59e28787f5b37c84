"""What a submitting client does about a reply: the actions, and what each of them means.

`MEANINGS` is the one table of consequences. Everybody who has to act on an `Action` (the worklist, the
connector, the gate, the breaker, whoever decides about a recipient) reads it there and decides nothing
by itself. Failures are told apart by their blast radius: one recipient, one message, the account with
its server, or the connection. A new action that is missing in the table fails a test.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Action(Enum):
    """What a submitting client does about a reply."""

    OK = "ok"
    """Accepted."""
    RETRY_LATER = "retry_later"
    """Transient for this message: again, after a while."""
    RETRY_RECONNECT = "retry_reconnect"
    """This connection is used up: again at once, on another."""
    THROTTLE_ACCOUNT = "throttle_account"
    """The account sends too fast or over too many connections: slow down."""
    ACCOUNT_QUOTA = "account_quota"
    """The account's quota is used up: pause until it is renewed."""
    AUTH_RETRY = "auth_retry"
    """The login failed for the moment: cool down briefly."""
    AUTH_FAIL = "auth_fail"
    """The credentials were refused: stop the account, tell its owner."""
    REAUTH_ONCE = "reauth_once"
    """The server has forgotten the login: log in again, once."""
    ACCOUNT_CONFIG = "account_config"
    """Somebody must change something: a sender to verify, an address to permit, a bill to pay."""
    SPLIT_RECIPIENTS = "split_recipients"
    """Too many recipients in one transaction: another transaction for this one."""
    FAIL_RECIPIENT = "fail_recipient"
    """This recipient will never get it."""
    FAIL_MESSAGE = "fail_message"
    """This content will never be taken."""
    SMTPUTF8_UNSUPPORTED = "smtputf8_unsupported"
    """The address needs SMTPUTF8, which somebody on the way lacks."""
    PROTOCOL_ERROR = "protocol_error"
    """Client and server disagree about which reply answers what: close, and try once more without
    extensions."""

    @property
    def meaning(self) -> "Meaning":
        """What follows from it; one look into `MEANINGS`."""
        return MEANINGS[self]


class Reason(StrEnum):
    """Why a message was not delivered; the words of bounces, exports and metrics."""

    MAILBOX_UNKNOWN = "mailbox_unknown"
    MAILBOX_MOVED = "mailbox_moved"
    MAILBOX_DISABLED = "mailbox_disabled"
    MAILBOX_FULL = "mailbox_full"
    DOMAIN_UNKNOWN = "domain_unknown"
    RELAY_DENIED = "relay_denied"
    SENDER_REFUSED = "sender_refused"
    """Reputation, authentication, policy about who sends."""
    CONTENT_REFUSED = "content_refused"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    SERVER_TROUBLE = "server_trouble"
    NETWORK = "network"
    EXPIRED = "expired"
    PROTOCOL = "protocol"
    UNKNOWN = "unknown"


class Reach(Enum):
    """Whose trouble a reply tells of: the blast radius."""

    NOBODY = "nobody"
    RECIPIENT = "recipient"
    MESSAGE = "message"
    CONNECTION = "connection"
    ACCOUNT = "account"


class OnAccount(Enum):
    """What happens to the account on all workers. The values are the breaker's words."""

    NOTHING = ""
    COOLS = "cools"
    """No login for a while; the while grows from one time to the next."""
    RESTS = "rests"
    """No login until the quota is renewed."""
    DOUBTED = "doubted"
    """Logged in once more; the second time in a short while, it stops."""
    STOPS = "stops"
    """No login until somebody has mended it."""


class Next(Enum):
    """What becomes of the recipient for whom it was said."""

    DONE = "done"
    AGAIN = "again"
    """Tried again after a while; the try counts."""
    WAITS = "waits"
    """Tried again when the account allows it; the try does not count."""
    REJECTED = "rejected"
    """Final."""
    DEAD = "dead"
    """Into the dead letters: somebody must mend the account first, then it can be replayed."""


class Cure(Enum):
    """How the engine tries again at once, without asking anybody."""

    NONE = "none"
    OTHER_CONNECTION = "other connection"
    NEW_LOGIN = "new login"
    """Once: the second refusal is the account's."""
    OTHER_WAY = "other way"
    """Once a message: in plain steps, or in a transaction of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What an action means for everybody concerned.

    *reach* is the blast radius. *ends_session*: the connection where it was said is closed; 421 closes
    by itself. *cure* is how the engine tries again at once, a bounded number of times; the other fields
    then say what holds when that was in vain. *before_mail* is the action that
    it amounts to where no message was begun: none can have failed there. *incurable* is the action which
    then takes its place, None for the same. *stop_reason* is the reason of the account's stop and of
    the dead letters. *bounce* is what it means in a bounce where no rule says it more exactly.
    """

    reach: Reach
    ends_session: bool
    account: OnAccount
    before_mail: Action
    recipient: Next
    bounce: Reason
    cure: Cure = Cure.NONE
    incurable: Action | None = None
    stop_reason: str = ""

    @property
    def is_account_wide(self) -> bool:
        """Whether it concerns every message of the account: nothing more is begun after it."""
        return self.reach is Reach.ACCOUNT


MEANINGS: dict[Action, Meaning] = {
    Action.OK: Meaning(
        reach=Reach.NOBODY,
        ends_session=False,
        account=OnAccount.NOTHING,
        before_mail=Action.RETRY_LATER,
        recipient=Next.DONE,
        bounce=Reason.UNKNOWN,
        # A positive reply of the wrong class is an error, too.
        incurable=Action.PROTOCOL_ERROR,
    ),
    Action.RETRY_LATER: Meaning(
        reach=Reach.MESSAGE,
        ends_session=False,
        account=OnAccount.COOLS,
        before_mail=Action.RETRY_LATER,
        recipient=Next.AGAIN,
        bounce=Reason.SERVER_TROUBLE,
    ),
    Action.RETRY_RECONNECT: Meaning(
        reach=Reach.CONNECTION,
        ends_session=True,
        account=OnAccount.COOLS,
        before_mail=Action.RETRY_LATER,
        recipient=Next.AGAIN,
        bounce=Reason.SERVER_TROUBLE,
        cure=Cure.OTHER_CONNECTION,
        incurable=Action.RETRY_LATER,
    ),
    Action.THROTTLE_ACCOUNT: Meaning(
        reach=Reach.ACCOUNT,
        # The session is good: the account only goes slower on it.
        ends_session=False,
        account=OnAccount.COOLS,
        before_mail=Action.THROTTLE_ACCOUNT,
        recipient=Next.WAITS,
        bounce=Reason.RATE_LIMITED,
    ),
    Action.ACCOUNT_QUOTA: Meaning(
        reach=Reach.ACCOUNT,
        ends_session=True,
        account=OnAccount.RESTS,
        before_mail=Action.ACCOUNT_QUOTA,
        recipient=Next.WAITS,
        bounce=Reason.RATE_LIMITED,
    ),
    Action.AUTH_RETRY: Meaning(
        reach=Reach.ACCOUNT,
        ends_session=True,
        account=OnAccount.COOLS,
        before_mail=Action.AUTH_RETRY,
        recipient=Next.WAITS,
        bounce=Reason.SENDER_REFUSED,
    ),
    Action.AUTH_FAIL: Meaning(
        reach=Reach.ACCOUNT,
        ends_session=True,
        account=OnAccount.STOPS,
        before_mail=Action.AUTH_FAIL,
        recipient=Next.DEAD,
        stop_reason="auth",
        bounce=Reason.SENDER_REFUSED,
    ),
    Action.REAUTH_ONCE: Meaning(
        reach=Reach.CONNECTION,
        ends_session=True,
        account=OnAccount.DOUBTED,
        before_mail=Action.ACCOUNT_CONFIG,
        recipient=Next.DEAD,
        stop_reason="account",
        bounce=Reason.SENDER_REFUSED,
        cure=Cure.NEW_LOGIN,
        incurable=Action.ACCOUNT_CONFIG,
    ),
    Action.ACCOUNT_CONFIG: Meaning(
        reach=Reach.ACCOUNT,
        ends_session=True,
        account=OnAccount.STOPS,
        before_mail=Action.ACCOUNT_CONFIG,
        recipient=Next.DEAD,
        stop_reason="account",
        bounce=Reason.SENDER_REFUSED,
    ),
    Action.SPLIT_RECIPIENTS: Meaning(
        reach=Reach.MESSAGE,
        ends_session=False,
        account=OnAccount.COOLS,
        before_mail=Action.RETRY_LATER,
        recipient=Next.AGAIN,
        bounce=Reason.RATE_LIMITED,
        cure=Cure.OTHER_WAY,
        incurable=Action.RETRY_LATER,
    ),
    Action.FAIL_RECIPIENT: Meaning(
        reach=Reach.RECIPIENT,
        ends_session=False,
        account=OnAccount.COOLS,
        before_mail=Action.ACCOUNT_CONFIG,
        recipient=Next.REJECTED,
        bounce=Reason.UNKNOWN,
    ),
    Action.FAIL_MESSAGE: Meaning(
        reach=Reach.MESSAGE,
        ends_session=False,
        account=OnAccount.COOLS,
        before_mail=Action.ACCOUNT_CONFIG,
        recipient=Next.REJECTED,
        bounce=Reason.CONTENT_REFUSED,
    ),
    Action.SMTPUTF8_UNSUPPORTED: Meaning(
        reach=Reach.MESSAGE,
        ends_session=False,
        account=OnAccount.COOLS,
        before_mail=Action.ACCOUNT_CONFIG,
        recipient=Next.REJECTED,
        bounce=Reason.PROTOCOL,
    ),
    Action.PROTOCOL_ERROR: Meaning(
        reach=Reach.CONNECTION,
        ends_session=True,
        account=OnAccount.COOLS,
        before_mail=Action.RETRY_LATER,
        recipient=Next.REJECTED,
        bounce=Reason.PROTOCOL,
        cure=Cure.OTHER_WAY,
    ),
}
