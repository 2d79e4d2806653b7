"""The Celery app: how Celery carries hints over Redis. Run with ``celery -A worker.app worker --pool threads``.

The configuration follows what was measured (docs/adr/0001-messages-are-hints.md): a message may get lost or come twice,
because the record in Redis is the truth. So there is nothing to acknowledge, which leaves out the code paths of kombu
that lose, repeat and wedge when Redis restarts. The broker's address comes with the settings, when a worker starts
(``tasks``).
"""

from celery import Celery

from worker.store import keys

app = Celery("livedesk-sync", include=["worker.tasks"])
app.conf.update(
    task_default_queue=keys.QUEUE_NAME,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=False,
    # A message that a worker holds is lost with it, so it holds few.
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # What a server says that has just become a replica (UNBLOCKED, READONLY) is cured by connecting again, too.
    broker_channel_error_retry=True,
    broker_transport_options={
        "ack_emulation": False,
        "global_keyprefix": keys.PREFIX,
        # The body stays readable in the envelope, so that a script can fill in the key (hints.py).
        "body_encoding": "utf-8",
        # Seconds. kombu waits 1 s for a message, so an answer that takes 5 s will not come (celery-redis 1.7).
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 5,
    },
)
