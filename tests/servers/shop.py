"""A shop that sends mail from the test's own process: its template, its settings, and a worker's loop."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailer.config import Settings
from mailer.deliver.delivery import Delivery
from mailer.store.connection import Client


def template(
    folder: Path, subject: str = "Hello", body: str = "Hello.", name: str = "hello"
) -> Path:
    """Write a template below *folder*; return the folder of all templates."""
    place = folder / "templates" / name
    place.mkdir(parents=True)
    (place / "subject.txt").write_text(f"{subject}\n")
    (place / "body.txt").write_text(f"{body}\n")
    return place.parent


def shop(
    redis_url: str,
    folder: Path,
    port: int,
    *accounts: str,
    account: Mapping[str, Any] | None = None,
    **more: Any,
) -> Settings:
    """Settings with the template of `template` and *accounts*, whose users are called like them.

    They log in at *port* of this machine, with what ``$PASSWORD`` has. *account* is said of each of them,
    *more* of the whole.
    """
    of_all = {"password_env": "PASSWORD", **(account or {})}
    found = {
        name: {"url": f"smtp://{name}@127.0.0.1:{port}", **of_all}
        for name in accounts or ("primary",)
    }
    return Settings.model_validate(
        {
            "redis": redis_url,
            "templates": template(folder),
            "sender": "Shop <news@shop.example>",
            "accounts": found,
            **more,
        }
    )


def work(delivery: Delivery, client: Client, *queues: str) -> None:
    """Deliver whatever is queued, until nothing is; in the bulk queue, where none is named."""
    for queue in queues or ("bulk",):
        while queued := client.zrange(f"mailer:queued:{queue}", 0, 0):
            delivery.deliver(queued[0].decode())
