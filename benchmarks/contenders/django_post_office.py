"""django-post_office: mails rendered into a database, then ``send_queued_mail`` with two processes."""

import os

import django
import letters
from orders import serve

os.environ["DJANGO_SETTINGS_MODULE"] = "post_office_site"
django.setup()

from django.core.files.base import ContentFile  # noqa: E402 - Django wants its settings first
from django.core.management import call_command  # noqa: E402
from post_office import mail  # noqa: E402
from post_office.models import Attachment, Email, EmailTemplate  # noqa: E402

call_command("migrate", verbosity=0)
for name in ("newsletter", "text"):
    EmailTemplate.objects.create(
        name=name,
        subject=letters.read(name, letters.SUBJECT).strip(),
        content=letters.read(name, "body.txt"),
        html_content=letters.read(name, "body.html") or "",
    )


def enqueue(kind: str, count: int, run: str) -> int:
    template = EmailTemplate.objects.get(name=letters.template_of(kind))
    orders = [
        {
            "recipients": row["email"],
            "sender": letters.SENDER,
            "template": template,
            "context": row,
        }
        for row in letters.rows(count, run)
    ]
    for start in range(0, count, 500):
        emails = mail.send_many(orders[start : start + 500])
        if kind == "attachment":
            attach(emails)
    call_command("send_queued_mail", processes=2, verbosity=0)
    Email.objects.all().delete()
    return count


def attach(emails: list[Email]) -> None:
    attachment = Attachment(name=letters.ATTACHMENT, mimetype="application/pdf")
    attachment.file.save(letters.ATTACHMENT, ContentFile(letters.catalogue()))
    through = Email.attachments.through
    through.objects.bulk_create(through(email=email, attachment=attachment) for email in emails)


serve(enqueue=enqueue)
