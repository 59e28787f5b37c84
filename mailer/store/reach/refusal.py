"""What it means when Redis answers and cannot serve, and what a person does about it.

Full memory, a full disk, a replica where a master was expected, a certificate that nobody vouches for:
such an answer passes when somebody mends it, and a script that heard it has changed nothing (Redis
refuses before a script's first write). So workers wait as for a Redis that is away, and commands say
what is wrong.
"""

import re
from typing import Final

import redis

REFUSALS: Final = {
    "OOM": "Redis is out of memory: raise its maxmemory, or delete what is not needed",
    "MISCONF": "Redis cannot write to its disk and takes no writes: see its log, and if the disk is full",
    "READONLY": "this Redis is a replica and takes no writes: name the master, or use sentinel://",
    "UNBLOCKED": "this Redis became a replica: name the master, or use sentinel://",
    "NOREPLICAS": "Redis has too few replicas in step (min-replicas-to-write): bring them back",
    "LOADING": "Redis is loading its data: wait until it has",
    "BUSY": "Redis is busy with a script of somebody else's: wait, or end it with SCRIPT KILL",
    "MASTERDOWN": "this Redis is a replica without a master: name the master, or use sentinel://",
    "NOPERM": "this Redis user has not all rights that mailer needs: docs/redis.md lists them",
    "NOAUTH": "Redis wants a password: set redis_password_file, or put it into the address",
    "WRONGPASS": "Redis refused the login: user or password is wrong, or the user is disabled",
    "MOVED": "Redis Cluster is not supported: name one Redis, or a sentinel:// address",
    "ASK": "Redis Cluster is not supported: name one Redis, or a sentinel:// address",
    "CROSSSLOT": "Redis Cluster is not supported: name one Redis, or a sentinel:// address",
    "CLUSTERDOWN": "Redis Cluster is not supported: name one Redis, or a sentinel:// address",
}
"""What a reply means, by its first word."""

TOO_MANY: Final = (
    "Redis has as many connections as it takes (maxclients): raise that, or close what needs none"
)

NO_LEDGER: Final = (
    "this server does not know a command that mailer needs: is it a Sentinel (sentinel://host/service), "
    "or older than Redis 6.2?"
)

NO_DATABASE: Final = (
    "this Redis has no database of that number: name one below its `databases`, such as /0"
)

UNVERIFIED: Final = (
    "the certificate of this Redis cannot be verified: name its authority with ?ssl_ca_certs=FILE at "
    "the address's end, and the host that the certificate is made for"
)

_IN_SCRIPTS: Final = ("ACL failure in script", "can't run this command", "can't access")
"""How Redis says NOPERM when it is a script's command that is not allowed."""

_ACROSS_SLOTS: Final = ("non local key in a cluster node", "do not hash to the same slot")
"""How a node of a cluster says CROSSSLOT when it is a script that wants several of its slots."""

_KILLED: Final = "Script killed by user"
"""How Redis says that somebody ended a script of ours, by mistake; it had written nothing yet."""

_SCRIPT: Final = re.compile(r"\.?\s*script: [0-9a-f]{40}\b.*", re.DOTALL)
"""Where a script's error names the script: nothing for people."""


_IN_PIPELINE: Final = re.compile(r"Command # \d+ \(.*\) of pipeline caused error: ", re.DOTALL)
"""What the client puts before Redis's words where several commands were sent together, with arguments."""

_IN_TRANSACTION: Final = "Transaction discarded because of: "
"""What Redis puts before the reason where the commands were taken and their EXEC is not."""


def words(exc: BaseException) -> str:
    """What Redis, or its client, said; to be put into a sentence."""
    return _SCRIPT.sub("", _IN_PIPELINE.sub("", str(exc))).rstrip(". ")


def behind(exc: BaseException | None) -> str | None:
    """The `refusal` behind an error of somebody who does not know of refusals; None where none is."""
    while exc is not None:
        if why := refusal(exc):
            return why
        exc = exc.__cause__ or exc.__context__
    return None


def refusal(exc: BaseException) -> str | None:
    """Why Redis cannot serve, in words for people; None where *exc* says something else."""
    if not isinstance(exc, redis.RedisError):
        return None
    text = _IN_PIPELINE.sub("", str(exc))
    reason = text.removeprefix(_IN_TRANSACTION)
    code = (reason == text and getattr(exc, "status_code", None)) or reason.partition(" ")[0]
    if isinstance(exc, redis.AuthenticationError) and code not in REFUSALS:
        code = "WRONGPASS"
    if isinstance(exc, redis.ResponseError) and text.startswith("unknown command"):
        return NO_LEDGER
    if "max number of clients" in text:
        return TOO_MANY
    if "DB index is out of range" in text:
        return NO_DATABASE
    if isinstance(exc, redis.ResponseError) and any(words in text for words in _IN_SCRIPTS):
        code = "NOPERM"
    if isinstance(exc, redis.ResponseError) and any(words in text for words in _ACROSS_SLOTS):
        code = "CROSSSLOT"
    if isinstance(exc, redis.ResponseError) and text.startswith(_KILLED):
        code = "BUSY"
    if isinstance(exc, redis.ConnectionError) and "[SSL: CERTIFICATE_VERIFY_FAILED]" in text:
        return UNVERIFIED
    return REFUSALS.get(str(code))
