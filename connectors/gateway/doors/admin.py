"""The admin API, mounted at /api: sign in and out, keys, users, sessions, the audit trail, WebSocket tickets.

`admin` may do everything, for all tenants: it is the operator's. Others see themselves and their sessions.
Errors have one shape everywhere, OpenAI's. The OpenAPI document lies at /api/openapi.json.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from starlette.exceptions import HTTPException

from connectors.gateway.dialects.errors import openai_error
from connectors.gateway.doors import admin_models as shapes
from connectors.gateway.doors import sessions
from connectors.gateway.doors.accounts import Accounts
from connectors.gateway.doors.keeper import Doors
from connectors.gateway.doors.setup import clock_ms, pepper_of
from connectors.gateway.doors.signin import SignIn
from connectors.gateway.doors.users import Cost, Passwords
from connectors.gateway.ports import ADMIN, Caller, Problem
from schemas.gateway import Session

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": shapes.ErrorBody} for status in (400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 503)
}


@dataclass(frozen=True, slots=True)
class Admin:
    """What the API works with, and its operations."""

    doors: Doors
    """Who asks."""
    accounts: Accounts
    """Keys and users."""
    signin: SignIn
    """Sessions."""
    clock_ms: Callable[[], int]
    """Unix time in milliseconds."""

    async def sign_in(self, request: Request, response: Response, body: shapes.SignInBody) -> shapes.Me:
        """Begin a session: the answer sets the cookie."""
        secure = request.url.scheme == "https"
        if not secure and not sessions.is_loopback(sessions.host_of(request.headers)):
            raise Problem(400, "insecure", "sign in over https, or on this machine")
        agent = request.headers.get("user-agent", "")
        if body.key is not None and body.user is None and body.password is None:
            caller, sid = await self.signin.by_key(body.key.get_secret_value(), agent)
        elif body.key is None and body.user is not None and body.password is not None:
            caller, sid = await self.signin.by_password(body.user, body.password.get_secret_value(), agent)
        else:
            raise Problem(400, "invalid_request", "give `user` and `password`, or `key`")
        response.headers["set-cookie"] = sessions.set_cookie(sid, secure=secure)
        await self.doors.note(caller, "session.begin", {"id": sessions.session_id(sid)})
        return shapes.me(caller)

    async def sign_out(self, request: Request, response: Response) -> None:
        """End the session that asks, and clear the cookie."""
        response.headers["set-cookie"] = sessions.clear_cookie(secure=request.url.scheme == "https")
        session = self.signin.of(request.headers)
        if session is not None:
            await self.signin.end(session.id)
            await self.doors.note(None, "session.end", {"id": session.id, "user": session.user})

    async def who(self, request: Request) -> shapes.Me:
        """Who asks."""
        return shapes.me(await self.doors.identify(request.headers))

    async def list_keys(self, request: Request) -> shapes.Keys:
        """All keys, oldest first, without their secrets."""
        await self.doors.admit(request.headers, ADMIN)
        found = sorted(self.accounts.book.keys.values(), key=lambda key: key.created_ms)
        return shapes.Keys(keys=[shapes.key_out(key, self.clock_ms()) for key in found])

    async def create_key(self, request: Request, body: shapes.KeyIn) -> shapes.KeyMade:
        """Make a key. Its text is in this answer and can't be had again."""
        caller = await self.doors.admit(request.headers, ADMIN)
        key, text = await self.accounts.create_key(shapes.key_spec(body), caller.id)
        details = {"id": key.id, "name": key.name, "tenant": key.tenant, "scopes": list(key.scopes)}
        await self.doors.note(caller, "key.create", details)
        return shapes.KeyMade(key=text.text, made=shapes.key_out(key, self.clock_ms()))

    async def get_key(self, request: Request, key_id: shapes.KeyId) -> shapes.KeyOut:
        """One key, without its secret."""
        await self.doors.admit(request.headers, ADMIN)
        return shapes.key_out(self.accounts.find_key(key_id), self.clock_ms())

    async def change_key(
        self, request: Request, key_id: shapes.KeyId, body: shapes.KeyChange
    ) -> shapes.KeyOut:
        """Change a key's name, rights or limits."""
        caller = await self.doors.admit(request.headers, ADMIN)
        changes = body.model_dump(exclude_unset=True)
        key = await self.accounts.change_key(key_id, changes)
        await self.doors.note(caller, "key.change", {"id": key.id, "changed": sorted(changes)})
        return shapes.key_out(key, self.clock_ms())

    async def revoke_key(self, request: Request, key_id: shapes.KeyId) -> shapes.KeyOut:
        """End a key for good."""
        caller = await self.doors.admit(request.headers, ADMIN)
        key = await self.accounts.revoke_key(key_id)
        await self.doors.note(caller, "key.revoke", {"id": key.id})
        return shapes.key_out(key, self.clock_ms())

    async def rotate_key(
        self, request: Request, key_id: shapes.KeyId, body: shapes.Rotation
    ) -> shapes.KeyMade:
        """Make a key that takes another's place; the old one stays good for the grace."""
        caller = await self.doors.admit(request.headers, ADMIN)
        grace = timedelta(seconds=body.grace_s)
        key, text = await self.accounts.rotate_key(key_id, caller.id, grace)
        await self.doors.note(caller, "key.rotate", {"id": key.id, "from": key_id, "grace_s": body.grace_s})
        return shapes.KeyMade(key=text.text, made=shapes.key_out(key, self.clock_ms()))

    async def list_users(self, request: Request) -> shapes.Users:
        """All users, by name."""
        await self.doors.admit(request.headers, ADMIN)
        found = sorted(self.accounts.book.users.values(), key=lambda user: user.name)
        return shapes.Users(users=[shapes.user_out(user) for user in found])

    async def create_user(self, request: Request, body: shapes.UserIn) -> shapes.UserOut:
        """Make a user who can sign in with a password."""
        caller = await self.doors.admit(request.headers, ADMIN)
        password = body.password.get_secret_value()
        user = await self.accounts.create_user(body.name, password, body.tenant, tuple(body.scopes))
        await self.doors.note(caller, "user.create", {"name": user.name, "scopes": list(user.scopes)})
        return shapes.user_out(user)

    async def remove_user(self, request: Request, name: shapes.UserName) -> None:
        """Remove a user, and end the sessions."""
        caller = await self.doors.admit(request.headers, ADMIN)
        await self.accounts.remove_user(name)
        await self.doors.note(caller, "user.remove", {"name": name})

    async def set_password(
        self, request: Request, name: shapes.UserName, body: shapes.NewPassword
    ) -> shapes.UserOut:
        """Give a user another password, and end the sessions."""
        caller = await self.doors.admit(request.headers, ADMIN)
        user = await self.accounts.set_password(name, body.password.get_secret_value())
        await self.doors.note(caller, "user.password", {"name": name})
        return shapes.user_out(user)

    async def list_sessions(self, request: Request) -> shapes.Sessions:
        """One's own sessions; an admin's listing has everybody's."""
        caller = await self.doors.identify(request.headers)
        here = self.signin.of(request.headers)
        found = [each for each in self.signin.all() if self._may_see(caller, each)]
        return shapes.Sessions(sessions=[shapes.session_out(each, here and here.id) for each in found])

    async def end_session(self, request: Request, session_id: str) -> None:
        """End one of one's own sessions; an admin may end any."""
        caller = await self.doors.identify(request.headers)
        found = self.doors.store.book.sessions.get(session_id)
        if found is None or not self._may_see(caller, found):
            raise Problem(404, "not_found", "there is no such session")
        await self.signin.end(found.id)
        await self.doors.note(caller, "session.end", {"id": found.id, "user": found.user})

    async def audit(
        self, request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> shapes.Entries:
        """The end of the audit trail, newest first."""
        await self.doors.admit(request.headers, ADMIN)
        return shapes.Entries(entries=list(self.doors.store.book.audit)[: -limit - 1 : -1])

    async def ticket(self, request: Request) -> shapes.Ticket:
        """A ticket that opens one WebSocket within 30 seconds."""
        await self.doors.identify(request.headers)
        ticket, expires_ms = self.doors.ticket(request.headers)
        return shapes.Ticket(ticket=ticket, expires_ms=expires_ms)

    def _may_see(self, caller: Caller, session: Session) -> bool:
        mine = session.key_id == caller.id if session.key_id else f"user:{session.user}" == caller.id
        return mine or caller.may(ADMIN)


def admin_of(doors: Doors, env: Mapping[str, str], cost: Cost | None = None) -> Admin:
    """What the admin API works with."""
    passwords = Passwords(cost)
    accounts = Accounts(doors.store, clock_ms, passwords, pepper_of(env))
    return Admin(doors, accounts, SignIn(doors, passwords, clock_ms), clock_ms)


def admin_app(admin: Admin) -> FastAPI:
    """The application to mount at /api."""
    app = FastAPI(
        title="Weir admin API", version="1", docs_url=None, redoc_url=None, servers=[{"url": "/api"}]
    )
    app.include_router(_router(admin))
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    return app


def _router(admin: Admin) -> APIRouter:
    schemes = [
        Security(HTTPBearer(auto_error=False)),
        Security(APIKeyHeader(name="x-api-key", auto_error=False)),
        Security(APIKeyCookie(name=sessions.SECURE_COOKIE, auto_error=False)),
    ]
    router = APIRouter(responses=ERRORS, dependencies=schemes)
    for method, path, operation, status in (
        ("POST", "/session", admin.sign_in, 200),
        ("DELETE", "/session", admin.sign_out, 204),
        ("GET", "/me", admin.who, 200),
        ("GET", "/keys", admin.list_keys, 200),
        ("POST", "/keys", admin.create_key, 201),
        ("GET", "/keys/{key_id}", admin.get_key, 200),
        ("PATCH", "/keys/{key_id}", admin.change_key, 200),
        ("DELETE", "/keys/{key_id}", admin.revoke_key, 200),
        ("POST", "/keys/{key_id}/rotate", admin.rotate_key, 201),
        ("GET", "/users", admin.list_users, 200),
        ("POST", "/users", admin.create_user, 201),
        ("DELETE", "/users/{name}", admin.remove_user, 204),
        ("PUT", "/users/{name}/password", admin.set_password, 200),
        ("GET", "/sessions", admin.list_sessions, 200),
        ("DELETE", "/sessions/{session_id}", admin.end_session, 204),
        ("GET", "/audit", admin.audit, 200),
        ("POST", "/ws-ticket", admin.ticket, 200),
    ):
        router.add_api_route(path, operation, methods=[method], status_code=status)
    return router


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return JSONResponse({"error": openai_error(error)}, error.status, headers=error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    """What doesn't fit its schema, by its place; the value isn't repeated: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:])[:200] or None
    problem = Problem(422, "invalid_request", f"{param or 'the body'}: {first['msg']}", param=param)
    return await _on_problem(request, problem)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Problem):  # a body's fault, which FastAPI has wrapped
        return await _on_problem(request, error.__cause__)
    codes = {404: "not_found", 405: "method_not_allowed"}
    code = codes.get(error.status_code, "invalid_request")
    problem = Problem(error.status_code, code, str(error.detail), headers=error.headers)
    return await _on_problem(request, problem)
