"""What the tests of the server share: a real one in a thread of its own."""

import socket
import threading
import time

import pytest

from unblur.serving.running import Running


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(name="free_port")
def free_port_():
    """`free_port()`: one that nobody has taken yet."""
    return free_port


@pytest.fixture
def port():
    """A port that nobody has taken yet."""
    return free_port()


@pytest.fixture
def serve():
    """`serve(app)`: a real server, as (server, address); with `rpc=True` it speaks gRPC at `server.address`."""
    running = []

    def start(app, rpc=False, **options):
        port = free_port()
        server = Running(app, f"127.0.0.1:{free_port()}" if rpc else "", port=port, log_level="warning", **options)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        return server, f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(30)
