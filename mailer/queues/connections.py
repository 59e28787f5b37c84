"""How a process that is no worker reaches the ledger and the queues, by its settings."""

from functools import cached_property
from time import time

from mailer.config import Settings, load
from mailer.queues.broker import Broker, application
from mailer.queues.publish import publish
from mailer.store import Store
from mailer.store.account_limits import rules
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client, connect
from mailer.store.ledger import Ledger


class Producer:
    """Redis and broker as a producer uses them, by the settings."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load()

    @cached_property
    def client(self) -> Client:
        """The connection to Redis."""
        return connect(self.settings.redis)

    @cached_property
    def store(self) -> Store:
        """All that Redis holds."""
        return Store(self.client, rules(self.settings))

    @property
    def campaigns(self) -> Campaigns:
        """The campaigns that Redis knows."""
        return self.store.campaigns

    @property
    def ledger(self) -> Ledger:
        """What became of each recipient."""
        return self.store.ledger

    @cached_property
    def broker(self) -> Broker:
        """Celery's queues."""
        return Broker(application(self.settings.broker_url))

    def wake(self, event: str) -> int:
        """Queue what is parked for *event*; returns how many batches."""
        return publish(self.broker, self.ledger, self.store.waiting.wake(event, time()))
