"""Celery's own settings for `celery -A mailer`, read from the folder where it is started.

What stands here wins over the package's defaults (`mailer/queues/broker.py`: late acknowledgement, one
task ahead per process, no stored results, the queues). The broker's address belongs to `mailer.toml`
(`redis`, `broker`), where producers read it too.
"""

# Worker processes; each drives many connections at once, so that a few suffice.
# worker_concurrency = 2

# How long the broker keeps events for a monitor that is not listening, and its queue.
event_queue_ttl = 5.0
event_queue_expires = 60.0
