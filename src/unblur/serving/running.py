"""The server as it runs: HTTP by uvicorn and, where it has an address, gRPC beside it; they end together."""

import asyncio
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI

from unblur.errors import UnblurError


class Running(uvicorn.Server):
    """Serves an app of `make_app`.

    Args:
        app: what answers over HTTP.
        rpc: the address for gRPC, HOST:PORT; "" leaves it out.
        grace: seconds that requests and calls get to end, once the server has been asked to.
        options: of uvicorn's Config.
    """

    def __init__(self, app: FastAPI, rpc: str = "", grace: int = 30, **options: Any) -> None:  # noqa: ANN401
        # Its access log is off: our own has an id for each request. What else is installed decides nothing.
        usual: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
        usual |= {"loop": "asyncio", "http": "h11", "ws": "none"}
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=grace, **usual | options))
        self.app, self.address, self.grace = app, rpc, grace
        self.rpc: Any = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer.

        Raises:
            UnblurError: the address for gRPC cannot be had.
        """
        if self.address:
            from unblur.serving.protocol.rpc import make_rpc

            state = self.app.state
            self.rpc = make_rpc(state.served, state.desk, state.watch)
            try:
                self.rpc.add_insecure_port(self.address)
            except RuntimeError as error:
                msg = f"{self.address}: cannot listen there for gRPC; choose another --host or --grpc-port"
                raise UnblurError(msg) from error
            await self.rpc.start()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing more, cancel the jobs, and let what else is under way end."""
        self.app.state.jobs.stop()
        ending = [super().shutdown(sockets)]
        if self.rpc is not None:
            ending.append(self.rpc.stop(self.grace))
        await asyncio.gather(*ending)
