"""The tutorial's task: one ``requests.post`` with retries, on Celery's defaults."""

import os
from typing import Any

import requests
from celery import Celery

celery_app = Celery("baseline", broker=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))

API_URL = os.environ.get("LIVEDESK_BASE_URL", "http://127.0.0.1:9000") + "/api/v2/accounts/contacts"
API_AUTH = (os.environ.get("LIVEDESK_API_KEY", "key"), os.environ.get("LIVEDESK_API_SECRET", "secret"))
INBOX_ID = int(os.environ.get("LIVEDESK_INBOX_ID", "1"))


@celery_app.task(autoretry_for=(requests.RequestException,), retry_backoff=True, max_retries=5)
def create_contact(contact: dict[str, Any]) -> int:
    """Create the contact and return its id."""
    response = requests.post(API_URL, json={"inbox_id": INBOX_ID, **contact}, auth=API_AUTH, timeout=30)
    response.raise_for_status()
    contact_id: int = response.json()["payload"]["contact"]["id"]
    return contact_id
