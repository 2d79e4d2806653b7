"""The Celery app: how Celery delivers messages over Redis.

Run ``celery -A worker.app worker --pool threads``. The configuration follows measurements
(docs/adr/0001-messages-are-hints.md). A message may be lost or arrive twice, because the record in Redis is the truth.
So there is nothing to acknowledge, which avoids the code paths of kombu that lose and repeat messages, or hang, when
Redis restarts. ``process.broker`` connects a worker when it starts.
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
    # A message that a worker has fetched is lost when the worker dies, so it fetches few.
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Connecting again also handles the errors of a server that has just become a replica (UNBLOCKED, READONLY).
    broker_channel_error_retry=True,
    broker_transport_options={
        "ack_emulation": False,
        # One list: without priorities there is nothing to wait for in three others.
        "priority_steps": [0],
        "global_keyprefix": keys.PREFIX,
        # Keeps the body readable in the envelope, so that a script can insert the key (process/envelope.py).
        "body_encoding": "utf-8",
    },
)
