"""What OpenAPI says of refusals: each is one line of JSON, {"error": "..."}."""

from typing import Any

OF_UPLOADS = (401, 408, 413, 422, 429, 503)
MEANINGS = {
    400: "not what the protocol says",
    401: "no known API key, where the server wants one",
    404: "there is no such thing (any more)",
    408: "the upload took too long",
    409: "not yet, or not any more",
    413: "more bytes than are taken",
    422: "not what can be done: the line says why",
    429: "all places are taken; Retry-After says when to come back",
    503: "not done in time, the server is ending, or memory, disk or model have failed",
}
LINE: dict[str, Any] = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
    "example": {"error": "no known API key; send it as X-API-Key or Authorization: Bearer"},
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of these statuses, as FastAPI takes them for an address."""
    return {
        status: {"description": MEANINGS[status], "content": {"application/json": {"schema": LINE}}}
        for status in statuses
    }
