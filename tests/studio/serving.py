"""A studio's server in a thread, and a client without a browser."""

import contextlib
import json
import threading
import urllib.error
import urllib.parse
import urllib.request


@contextlib.contextmanager
def served(studio):
    """Serves a studio; gives its address."""
    import uvicorn

    from osmn_recurrent.cli.studio import listen
    from osmn_recurrent.studio import server

    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            server.make_app(studio), log_level="error", timeout_graceful_shutdown=1
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


class Answer:
    """An answer of the server.

    Attributes:
        status: int.
        headers: dict-like.
        content: bytes.
    """

    def __init__(self, answer):
        self.status, self.headers = answer.status, answer.headers
        self.content = answer.read()

    def json(self):
        return json.loads(self.content)


class Client:
    """Asks a server, as the page called `page` does.

    Args:
        address: of `served`.
    """

    def __init__(self, address):
        self._address = address

    def ask(self, path, method="GET", page=None, content=None, **headers):
        """`Answer`; `content` is bytes, or becomes JSON."""
        if page is not None:
            headers["X-Page"] = page
        if content is not None and not isinstance(content, bytes):
            content = json.dumps(content).encode()
        request = urllib.request.Request(
            self._address + path, content, headers, method=method
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return Answer(answer)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error)

    def state(self, page="me"):
        return self.ask("/studio/state", page=page).json()

    def post(self, name, content=None, page="me"):
        content = {} if content is None else content
        return self.ask(f"/studio/{name}", "POST", page, content)

    def put(self, name, content, page="me"):
        path = f"/studio/upload/{urllib.parse.quote(name, safe='')}"
        return self.ask(path, "PUT", page, content)
