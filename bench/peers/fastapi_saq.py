"""FastAPI and SAQ: ``uvicorn bench.peers.fastapi_saq:app``."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from saq import Queue

from bench.peers.signature import is_valid

queue = Queue.from_url(os.environ["REDIS_URL"])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Keep the queue connected while the application runs."""
    await queue.connect()
    yield
    await queue.disconnect()


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks/signup")
async def signup(request: Request) -> dict[str, str]:
    """Check the signature, and enqueue the task."""
    if not is_valid(request.headers, await request.body()):
        raise HTTPException(401)
    contact = (await request.json())["data"]
    await queue.enqueue("create_contact", contact=contact)
    return {"status": "accepted", "identifier": contact["identifier"]}
