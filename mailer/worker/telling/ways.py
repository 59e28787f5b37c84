"""How events reach the application: by a Python function, a webhook, a Celery task."""

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from mailer.config import Settings
from mailer.errors import ConfigError, EventsNotTakenError, LedgerUnavailableError
from mailer.mail.said import without_addresses
from mailer.worker.named import named
from mailer.worker.telling.webhook import Webhook

Tell = Callable[[bytes], None]

_GENERATES: Final = "makes a generator (it has a yield): nothing of it would be run"


def orders(name: str, settings: Settings) -> dict[str, Any]:
    """What a helper must know to tell by the way *name*; it goes through a pipe, seen by nobody else."""
    events = settings.events
    folder = settings.file.parent if settings.file else Path()
    return {
        "way": name,
        "target": events.ways[name],
        "place": f"{settings.file.name if settings.file else 'configuration'}: events.{name}",
        "folder": str(folder.resolve()),
        "secret": [events.secret_env, _text(events.secret_file), events.secret_command],
        "ca_file": _text(events.ca_file),
        "broker": events.broker or settings.broker_url,
        "queue": events.queue,
        # Shorter than the rest of the lease when a worker dies: no other makes the same delivery
        # meanwhile.
        "grace": settings.worker.lease / 3,
    }


def way(given: Mapping[str, Any]) -> Tell:
    """The call that delivers a body by the way that the orders name. Raises `EventsNotTakenError`."""
    try:
        return _WAYS[given["way"]](given)
    except ConfigError as exc:
        raise EventsNotTakenError(str(exc)) from exc
    except Exception as exc:  # what a stranger's module does when it is imported
        raise EventsNotTakenError(f"{given['place']}: {words(exc)}") from exc


def words(exc: BaseException) -> str:
    """What an exception says and where it was raised, without addresses."""
    frames = traceback.extract_tb(exc.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    said = without_addresses(_text_of(exc).strip().partition("\n")[0])[:200]
    return f"{type(exc).__name__}{': ' if said else ''}{said}{where}"


def _text_of(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # noqa: BLE001 - a stranger's code
        return ""


def _hook(given: Mapping[str, Any]) -> Tell:
    # For as long as the process lives, because the function may import more when it is called.
    sys.path.insert(0, given["folder"])
    function = named(given["target"], given["place"])
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"{given['place']}: {given['target']!r} {_GENERATES}")

    def tell(body: bytes) -> None:
        answer = function(json.loads(body)["events"])
        if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
            raise EventsNotTakenError(f"it {_GENERATES}")
        if inspect.isawaitable(answer):
            asyncio.run(_awaited(answer))

    return tell


async def _awaited(answer: Any) -> None:
    await answer


def _webhook(given: Mapping[str, Any]) -> Tell:
    return Webhook(given["target"], given["secret"], given["ca_file"], given["limit"]).post


def _task(given: Mapping[str, Any]) -> Tell:
    # Imported only here: Celery takes a third of a second to load, and only this way needs it.
    from mailer.queues.foreign import ForeignTask  # noqa: PLC0415

    task = ForeignTask(given["target"], given["broker"], given["queue"])

    def tell(body: bytes) -> None:
        delivery = json.loads(body)
        try:
            task.send(delivery["events"], delivery["id"])
        except LedgerUnavailableError as exc:
            cause = exc.__cause__ or exc
            raise EventsNotTakenError(
                f"the broker cannot be reached: {type(cause).__name__}"
            ) from exc

    return tell


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


_WAYS: Final[Mapping[str, Callable[[Mapping[str, Any]], Tell]]] = {
    "hook": _hook,
    "webhook": _webhook,
    "task": _task,
}
