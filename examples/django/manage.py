"""Django's command line for the example.

python manage.py migrate && python manage.py runserver
celery -A mailer worker                                   # beside it
curl localhost:8000/orders -d email=ada@example.org -d name=Ada -d item=lamp
python manage.py send_invoices && python manage.py mailer status
"""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
