"""Celery's message, which only says which records to look at.

The envelope has kombu's own wire format. Celery and kombu build it once, at start, by publishing to kombu's in-memory
transport with marks for the keys of contacts and the message's ids. Filling in a mark takes a microsecond; a publish
takes several hundred, and could not be one atomic step with the record.

This works because the app sets the transport option ``body_encoding`` to ``utf-8``, so that the body is readable text
in the envelope and not base64 (kombu, virtual transports, ``Channel.from_transport_options``).
"""

import json
from typing import Any

from celery import Task
from kombu import Connection

from worker.store.queue import ID_MARK, KEY_MARK, Envelope

#: Headers that Sentry adds about the process that builds the envelope, and a copy of them.
OF_SENTRY = ("sentry-", "baggage", "headers")


def build_envelope(task: "Task[..., Any]") -> Envelope:
    """Let Celery publish ``task(key)`` to memory, and return the envelope.

    Raises:
        RuntimeError: Celery or kombu no longer build what we rely on. It is better not to start than to write messages
            that break workers.
    """
    options = task.app.conf.broker_transport_options
    with Connection("memory://", transport_options={"body_encoding": options["body_encoding"]}) as connection:
        publish: Any = task.apply_async  # the stubs of celery-types know fewer options than Celery takes
        publish(args=[KEY_MARK], task_id=ID_MARK, connection=connection)
        channel: Any = connection.default_channel
        message = channel.basic_get(task.app.conf.task_default_queue, no_ack=True)
    envelope = {
        "body": message.body.decode(),
        "content-encoding": message.content_encoding,
        "content-type": message.content_type,
        "headers": {name: value for name, value in message.headers.items() if not name.startswith(OF_SENTRY)},
        "properties": message.properties,
    }
    # Unique for each message, like kombu's own.
    envelope["properties"]["delivery_tag"] = ID_MARK
    template = json.dumps(envelope)
    if json.loads(envelope["body"])[0] != [KEY_MARK] or envelope["headers"]["id"] != ID_MARK:
        raise RuntimeError("Celery built a message without the contact's key or without an id")
    return Envelope(template)
