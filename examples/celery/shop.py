"""A shop's Celery application, whose tasks send mail.

    celery -A shop worker --beat         # the shop's own tasks
    celery -A mailer worker              # the mail

Or one fleet for both:

    celery -A shop worker --include mailer.tasks -Q celery,mailer.priority,mailer.bulk
"""

import os
from datetime import UTC, datetime

from celery import Celery

from mailer import Campaign, send
from mailer.errors import LedgerUnavailableError

app = Celery("shop", broker=os.environ.get("SHOP_BROKER", "redis://localhost:6379/0"))
app.conf.beat_schedule = {
    "reminders": {"task": "shop.remind", "schedule": float(os.environ.get("SHOP_EVERY", "3600"))}
}


@app.task(
    name="shop.sign_up",
    acks_late=True,
    autoretry_for=(LedgerUnavailableError,),
    retry_backoff=True,
    max_retries=None,
)
def sign_up(number: int, email: str, name: str) -> str:
    """Welcome a customer: once, however often the task comes."""
    return send("welcome", to=email, context={"name": name}, key=f"sign-up-{number}")


@app.task(name="shop.offer")
def offer(season: str, customers: list[dict[str, str]]) -> int:
    """Send an offer to all; the same list again goes on where it was."""
    campaign = Campaign(f"offer-{season}", template="offer", context={"season": season})
    return campaign.enqueue(customers, processes=2).queued


@app.task(name="shop.remind")
def remind() -> int:
    """Remind, as beat asks for it; a campaign a day, so nobody is reminded twice on one."""
    today = datetime.now(UTC).date()
    campaign = Campaign(f"reminders-{today}", template="welcome")
    return campaign.enqueue([{"email": "grace@example.org", "name": "Grace"}]).queued
