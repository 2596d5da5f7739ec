"""The gateway as one ASGI application: the routes of its packages, and the hardening around them.

/healthz /readyz /metrics     ops
/v1/...                       dialects: OpenAI's and Anthropic's APIs
/ws, /api/streams/..., /      socket: WebSocket, resumable streams, the page
/api/...                      doors: the admin API
"""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from connectors.gateway import dialects
from connectors.gateway.dialects.errors import error_body, status_of
from connectors.gateway.doors.admin import Admin, admin_app
from connectors.gateway.doors.hardening import Bounds, Hardened
from connectors.gateway.ops import Ops
from connectors.gateway.parts import Parts
from connectors.gateway.ports import Problem
from connectors.gateway.socket.routes import routes as socket_routes


def create_app(parts: Parts, admin: Admin, ops: Ops) -> ASGIApp:
    """All of it; the parts are started before it serves, by `server`."""
    routes: list[BaseRoute] = [
        *ops.routes(),
        *dialects.routes(parts),
        *socket_routes(parts),
        Mount("/api", admin_app(admin)),
    ]
    app = Starlette(routes=routes, exception_handlers={Problem: _problem, HTTPException: _foreign})
    origins = frozenset(parts.settings.origins)
    return Hardened(app, admin.doors.leave, Bounds(origins=origins))


async def _problem(_: Request, error: Exception) -> Response:
    """A problem that no package has written in its own shape."""
    assert isinstance(error, Problem)
    body = error_body(error, "openai", "")
    return JSONResponse(body, status_of(error, "openai"), headers=error.headers)


async def _foreign(request: Request, error: Exception) -> Response:
    """What the router says: there is no such path, or no such method on it."""
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "method_not_allowed"
    message = f"there is no {request.method[:16]} {request.url.path[:200]}"
    headers = dict(error.headers or {})
    return await _problem(request, Problem(error.status_code, code, message, headers=headers))
