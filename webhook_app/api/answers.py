"""JSON answers."""

import json
from typing import Any

from werkzeug import Response


def answer(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(document), status, headers, content_type="application/json")
