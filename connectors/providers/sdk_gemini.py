"""`client: sdk` for Gemini: google-generativeai's REST session posts the bytes that our codec made.

The only module that imports google-generativeai, which is past its end of support; that it is imported at
all is left to the first route with `client: sdk`. Without a key of the route the SDK looks for one in its own
ways: GEMINI_API_KEY, GOOGLE_API_KEY, Application Default Credentials. The session blocks, so it works on
threads of its own, at most `MAX_THREADS`; its retries are off. The bytes don't pass through the SDK's
protocol buffers: those would lose every field that is younger than the SDK.
"""

import asyncio
import contextvars
import http.client
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from urllib3 import disable_warnings
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from connectors.providers.pool import Way, proxy_for, tls_of
from connectors.providers.sdk_httpx import CANT_SEND, Counted, check_address
from connectors.providers.sdk_requests import (
    SENDING,
    GatedAdapter,
    RequestsReply,
    Sending,
    why_not,
)
from connectors.providers.wire import Gate
from schemas.calls import HttpRequest, Missing, ProviderError, Route, Unavailable

with warnings.catch_warnings():
    # It says at its import, and on every line of Python's own age, that its end of support is over.
    warnings.simplefilter("ignore")
    import google.generativeai.client as genai
    from google.generativeai.generative_models import GenerativeModel

MAX_THREADS = 64
"""Most threads of one server's session."""
ERRORS = (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError)
"""What the session raises."""
_KEYS = ("x-goog-api-key", "authorization")
_T = TypeVar("_T")


class GeminiTransport(Counted):
    """The SDK's session: one for calls with a key of ours, one for the SDK's ways to find one."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way
        self._threads = ThreadPoolExecutor(min(way.max_connections, MAX_THREADS), "weir-gemini-sdk")
        self._free = asyncio.Semaphore(min(way.max_connections, MAX_THREADS))
        self._sessions: dict[bool, requests.Session] = {}

    async def send(self, route: Route, request: HttpRequest, gate: Gate, max_bytes: int) -> RequestsReply:
        """Send a request and wait for the head of its reply.

        Raises:
            Unavailable: When the gate says no, or no reply came.
            Missing: When there is no key, or the address, a header or a file for TLS can't be used.
        """
        check_address(request.url)
        sending = Sending(_on_loop(gate))
        await self._free.acquire()
        self.begin()
        try:
            response = await self._in_thread(self._post, route, request, sending)
        except BaseException as error:
            self.over()
            sending.stop()
            if isinstance(error, GoogleAuthError):
                raise Missing("there is no key, and the SDK found none") from error
            if isinstance(error, ERRORS) and not isinstance(error, ProviderError):
                raise _failure(error, route) from error
            raise
        return RequestsReply(response, sending, route.timeouts, max_bytes, self._in_thread, self.over)

    def over(self) -> None:
        """A reply is closed: another call may have its connection."""
        super().over()
        self._free.release()

    async def close(self) -> None:
        """End all connections and threads."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[..., _T], *given: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    def _post(self, route: Route, request: HttpRequest, sending: Sending) -> requests.Response:
        keyed = any(name in request.headers for name in _KEYS)
        session = self._sessions.get(keyed) or self._sessions.setdefault(
            keyed, self._open(keyed, request.url)
        )
        timeouts = route.timeouts

        def post() -> requests.Response:
            SENDING.set(sending)
            return session.request(
                request.method,
                request.url,
                data=request.body,
                headers=dict(request.headers),
                stream=True,
                allow_redirects=False,
                timeout=(timeouts.connect_s, timeouts.first_byte_s),
            )

        return contextvars.Context().run(post)

    def _open(self, keyed: bool, url: str) -> requests.Session:
        """The session of the SDK's own client."""
        manager: Any = genai._ClientManager()  # pyright: ignore[reportPrivateUsage] (the public one is global)
        manager.configure(transport="rest", api_key="in-the-headers" if keyed else None)
        session: Any = manager.make_client("generative").transport._session
        if keyed:
            session.credentials = AnonymousCredentials()
        session._refresh_status_codes = ()  # else a 401 is sent again
        session.get_redirect_target = _nowhere
        session.trust_env = False
        way = self._way
        tls_of(way)  # says which file can't be used
        if not way.verify_tls:
            disable_warnings(InsecureRequestWarning)
        session.verify = (way.ca_file or True) if way.verify_tls else False
        session.cert = way.client_cert_file
        proxy = None if way.proxy is None else proxy_for(way, url)
        session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        for scheme in ("http://", "https://"):
            session.mount(scheme, GatedAdapter(pool_maxsize=min(way.max_connections, MAX_THREADS)))
        session.headers["accept-encoding"] = "identity"
        return session


def _nowhere(_response: requests.Response) -> None:
    """A redirect leads nowhere; asked where it leads, the session would read the body away."""


def _on_loop(gate: Gate) -> Gate:
    """The gate, asked from a thread: it answers on its own loop, as ever."""
    loop = asyncio.get_running_loop()

    def ask() -> bool:
        answer: Future[bool] = Future()

        def work() -> None:
            try:
                answer.set_result(gate())
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asks
                answer.set_exception(error)

        loop.call_soon_threadsafe(work)
        return answer.result()

    return ask


def _failure(error: Exception, route: Route) -> ProviderError:
    if isinstance(error, requests.ConnectTimeout):
        return Unavailable(f"connect timed out after {route.timeouts.connect_s:g} s")
    if isinstance(error, requests.ReadTimeout | TimeoutError):
        return Unavailable(f"no first byte within {route.timeouts.first_byte_s:g} s")
    if isinstance(error, ValueError) and not isinstance(error, requests.ConnectionError | requests.Timeout):
        return Missing(CANT_SEND)
    return Unavailable(why_not(error))


def generative_model(model: str, api_key: str, address: str) -> Any:
    """The SDK's own model, as its users have it, against a server of ours; for `weir bench provider`."""
    manager: Any = genai._ClientManager()  # pyright: ignore[reportPrivateUsage] (the public one is global)
    manager.configure(api_key=api_key, transport="rest", client_options={"api_endpoint": address})
    made: Any = GenerativeModel(model)
    made._client = manager.make_client("generative")
    return made
