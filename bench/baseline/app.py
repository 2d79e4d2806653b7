"""The tutorial's receiver: check the signature, read JSON, ``delay()``, answer."""

import base64
import hashlib
import hmac
import os
import time

from flask import Flask, Response, abort, jsonify, request

from bench.baseline.tasks import create_contact

app = Flask(__name__)

SECRET = os.environ.get("WEBHOOK_SECRET", "")
TOLERANCE = 300  # seconds


def verify(body: bytes, family: str = "webhook") -> None:
    """Answer 401 unless the Standard Webhooks signature is valid and recent."""
    message_id = request.headers.get(f"{family}-id", "")
    timestamp = request.headers.get(f"{family}-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        abort(401)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(expected, request.headers.get(f"{family}-signature", "")):
        abort(401)


@app.post("/webhooks/signup")
def signup() -> tuple[Response, int]:
    """Take one sign-up and hand it to Celery."""
    verify(request.get_data())
    contact = request.get_json()["data"]
    create_contact.delay(contact)
    return jsonify(status="accepted", identifier=contact["identifier"]), 202


@app.post("/webhooks/clerk")
def clerk() -> tuple[Response, int]:
    """The same for what Clerk sends."""
    verify(request.get_data(), "svix")
    user = request.get_json()["data"]
    emails = {email["id"]: email["email_address"] for email in user["email_addresses"]}
    phones = {phone["id"]: phone["phone_number"] for phone in user["phone_numbers"]}
    contact = {
        "identifier": user["id"],
        "name": f"{user['first_name']} {user['last_name']}",
        "email": emails.get(user["primary_email_address_id"]),
        "phone_number": phones.get(user["primary_phone_number_id"]),
        "avatar_url": user["image_url"],
    }
    create_contact.delay(contact)
    return jsonify(status="accepted", identifier=contact["identifier"]), 202
