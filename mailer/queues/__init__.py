"""The one door to Celery's queues."""
