# One image for web and worker: bin/web or bin/worker.
ARG PYTHON_IMAGE=python:3.13-slim
FROM ${PYTHON_IMAGE}

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 FLASK_APP=webhook_app.wsgi
WORKDIR /app

# Before the code, so that a change of the code does not install everything again.
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.txt \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin livedesk

COPY bin/ bin/
COPY worker/ worker/
COPY webhook_app/ webhook_app/

USER 10001
EXPOSE 8000
# The receiver answers, or the worker makes progress: bin/health knows which of them runs.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["bin/health"]
CMD ["bin/web"]
