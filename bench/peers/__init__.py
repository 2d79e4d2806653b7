"""What a Python team would pick instead: three receivers with their task queues.

``fastapi_saq``      FastAPI and SAQ, on uvicorn
``fastapi_taskiq``   FastAPI and taskiq, on uvicorn
``flask_dramatiq``   Flask and dramatiq, on granian

Each is written as the documentation of its parts shows, checks the same signature over the raw body as the others, and
enqueues one task in Redis before it answers. They run with their own packages (``.venv/peers``), not with ours.
"""
