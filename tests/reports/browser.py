"""A headless Chromium, driven over its debugging pipe."""

import json
import os
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--window-size=1280,1000 --remote-debugging-pipe"
).split()


def find_browser():
    """Path of a browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """Opens pages and runs expressions in them; a context manager.

    Attributes:
        errors: texts of exceptions and of errors in the console.
    """

    def __init__(self, path, profile):
        self.errors, self._events, self._count = [], [], 0
        command = [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        down, self._write = os.pipe()  # the browser reads at 3 and writes at 4
        self._read, up = os.pipe()

        def arrange():
            spare = [os.dup(down), os.dup(up)]
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)

        self._process = subprocess.Popen(
            command,
            preexec_fn=arrange,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down)
        os.close(up)
        self._rest, self._session = b"", None

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def call(self, method, **arguments):
        """Sends a command of the DevTools protocol and returns its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def open(self, url, seconds=60):
        """Opens a page and waits until it has loaded."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        end = time.monotonic() + seconds
        while "Page.loadEventFired" not in self._events:
            assert time.monotonic() < end, "the page does not load"
            self._note(self._message())

    def value(self, expression):
        """The value (plain data) of a JavaScript expression in the page."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self):
        """The visible part of the page, base64 of a PNG."""
        return self.call("Page.captureScreenshot", format="png")["data"]

    def _note(self, message):
        kind, data = message.get("method"), message.get("params", {})
        self._events.append(kind)
        if kind == "Runtime.exceptionThrown":
            self.errors.append(str(data["exceptionDetails"]))
        if kind == "Runtime.consoleAPICalled" and data["type"] == "error":
            self.errors.append(str(data["args"]))
        if kind == "Log.entryAdded" and data["entry"]["level"] == "error":
            self.errors.append(data["entry"]["text"])

    def _message(self):
        while b"\0" not in self._rest:
            data = os.read(self._read, 1 << 16)
            assert data, "the browser has ended"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)
