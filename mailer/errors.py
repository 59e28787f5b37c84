"""What can go wrong, by name.

One root, `MailerError`; each error also inherits from the builtin that fits, so that callers who know
only Python can catch it. Every attribute goes positionally to ``super().__init__``: an error must
survive pickling between Celery's processes. No message holds a recipient's address or a secret.

A refused recipient is no error but a value (see `mailer.deliver.outcome`): an exception means that
the call could not do its work.
"""


class MailerError(Exception):
    """The root of all errors of this project."""


# Configuration and input.


class ConfigError(MailerError, ValueError):
    """The configuration is wrong: says the file, the key, the reason and what to do."""


class SecretUnavailableError(ConfigError):
    """A secret cannot be had here and now; it may be there in a while, or on another host."""


class InputError(MailerError, ValueError):
    """What the caller passed cannot be used: says which argument or row, and why."""


class TemplateError(InputError):
    """A template is missing, broken, or wants what a row does not have."""


class HeaderError(InputError):
    """A header name or value that may not be written into a message."""


class AttachmentError(InputError):
    """A file that cannot be attached."""


class InvalidRowsError(InputError):
    """Rows of a recipient list failed the check before anything was queued."""


# Campaigns and the ledger.


class CampaignNotFoundError(MailerError, LookupError):
    """No campaign of that name is known to this Redis."""


class CampaignChangedError(MailerError, ValueError):
    """The campaign was enqueued before with another template, other settings or other rows."""


class PayloadError(MailerError, ValueError):
    """Bytes that are not a batch this version can read."""


class PayloadTooNewError(PayloadError):
    """A batch written by a newer version: workers of that version can read it."""

    @property
    def version(self) -> int:
        """The payload's version."""
        return int(self.args[2])


class ForeignRecordError(MailerError, TypeError):
    """A key of ours in Redis holds another type than we write; `store/reach/foreign` says which."""


class LedgerUnavailableError(MailerError, ConnectionError):
    """Redis could not be asked; never to be read as "not sent yet"."""


class BrokerUnavailableError(LedgerUnavailableError):
    """The broker could not be asked, which need not be the ledger's Redis."""


class HistoryUnavailableError(MailerError, ConnectionError):
    """The history's database could not be asked, or its tables are not those of this version."""


class HistoryRefusesError(MailerError, ValueError):
    """The history's database cannot store something of what it was given; to wait does not help."""


class ProofUnavailableError(MailerError, ConnectionError):
    """What a webhook's request is proven with cannot be had just now: it is to be sent again."""


class EventsNotTakenError(MailerError):
    """The application did not take events: they wait. Says why, without an address."""

    @property
    def wait(self) -> float:
        """Seconds that it asked to be left alone; 0 where it asked for nothing."""
        return float(self.args[1]) if len(self.args) > 1 else 0.0

    def __str__(self) -> str:
        return str(self.args[0])


class RedisSilentError(LedgerUnavailableError):
    """Redis, or what stands before it, takes connections and does not answer."""


class RedisRefusesError(LedgerUnavailableError):
    """Redis answers and cannot serve: the text says why, and what to do about it."""


class LeaseLostError(MailerError):
    """The batch belongs to another worker by now: stop, and record nothing more."""


class TooLittleMemoryError(MailerError):
    """This process has too little memory for a batch. No `MemoryError`: that ends Celery's worker."""


# Submission.


class SubmissionError(MailerError):
    """The mail server could not be used for reasons that lie with the account or the connection."""


class ServerUnavailableError(SubmissionError, ConnectionError):
    """No session could be had: refused, cut, timed out, or TLS failed."""


class AuthenticationFailedError(SubmissionError, PermissionError):
    """The server refused the account's credentials."""


class WireError(MailerError, ValueError):
    """Bytes or an argument that must never reach a server; nothing of it was written."""


class ReplySyntaxError(SubmissionError, ValueError):
    """What a server sent is no SMTP reply: the session cannot be trusted any further."""


class TokenRefusedError(AuthenticationFailedError):
    """An OAuth token could not be had because the authorisation server said no."""


class TokenUnavailableError(ServerUnavailableError):
    """An OAuth token could not be had just now: the source of it is away or busy."""


# One machine alone.


class LocalServerError(MailerError, OSError):
    """The embedded server or its worker cannot be started or used."""
