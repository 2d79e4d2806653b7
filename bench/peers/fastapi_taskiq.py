"""FastAPI and taskiq: ``uvicorn bench.peers.fastapi_taskiq:app``."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from taskiq_redis import RedisStreamBroker

from bench.peers.signature import is_valid

broker = RedisStreamBroker(os.environ["REDIS_URL"])


@broker.task
async def create_contact(contact: dict[str, Any]) -> None:
    """The worker's part, which the bench leaves out."""


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Keep the broker connected while the application runs."""
    if not broker.is_worker_process:
        await broker.startup()
    yield
    if not broker.is_worker_process:
        await broker.shutdown()


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks/signup")
async def signup(request: Request) -> dict[str, str]:
    """Check the signature, and enqueue the task."""
    if not is_valid(request.headers, await request.body()):
        raise HTTPException(401)
    contact = (await request.json())["data"]
    await create_contact.kiq(contact)
    return {"status": "accepted", "identifier": contact["identifier"]}
