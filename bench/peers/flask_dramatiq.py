"""Flask and dramatiq: ``granian --interface wsgi bench.peers.flask_dramatiq:app``."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from flask import Flask, abort, request

from bench.peers.signature import is_valid

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))
app = Flask(__name__)


@dramatiq.actor
def create_contact(contact: dict[str, Any]) -> None:
    """The worker's part, which the bench leaves out."""


@app.post("/webhooks/signup")
def signup() -> dict[str, str]:
    """Check the signature, and enqueue the task."""
    if not is_valid(request.headers, request.get_data()):
        abort(401)
    contact = request.get_json()["data"]
    create_contact.send(contact)
    return {"status": "accepted", "identifier": contact["identifier"]}
