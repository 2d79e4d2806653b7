"""A stock Celery app without our code: it must understand our messages.

Only what every app has to say is said: where the broker is, what the queue is called, which prefix its keys have. Each
run of the task adds a line to the file ``RUNS``.
"""

import json
import os
from pathlib import Path

from celery import Celery

app = Celery("stock", broker=os.environ["REDIS_URL"])
app.conf.task_default_queue = "create"
app.conf.broker_transport_options = {"global_keyprefix": "{lds}:"}


@app.task(name="worker.create_contact")
def create_contact(*args: object, **kwargs: object) -> None:
    with Path(os.environ["RUNS"]).open("a") as runs:
        runs.write(json.dumps([args, kwargs]) + "\n")
