"""Stops the event source mappings of the local AWS endpoint, and waits for the invocations of functions that are running.

An invocation that is interrupted loses what it has not finished: the endpoint repeats no event that EventBridge sends to a
function. Functions call the endpoint, so it must still respond to them meanwhile.
"""

import asyncio
import threading
import time

# EventBridge starts an invocation shortly after its response: only a pause without any is the end.
_PAUSE_S = 0.5
_INTERVAL_S = 0.05


class Invocations:
    """The running invocations, without those of the HTTP API, whose callers wait for a response and repeat the request."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = 0
        self._stopped = False

    def mapping(self, poll):
        """Returns the polling of a kind of event source mappings, which polls no more once they are stopped."""

        def run():
            with self._lock:
                if self._stopped:
                    return False
                self._running += 1
            return self._finish(poll)

        return run

    def function(self, execute):
        """Returns the execution of a function, which is counted."""

        def run(function, event):
            if isinstance(event, dict) and "httpMethod" in event:
                return execute(function, event)
            with self._lock:
                self._running += 1
            return self._finish(execute, function, event)

        return run

    def _finish(self, act, *arguments):
        try:
            return act(*arguments)
        finally:
            with self._lock:
                self._running -= 1

    async def stop(self, timeout_s):
        """Stops the mappings, waits until nothing runs, and returns how many invocations still run after the timeout."""
        with self._lock:
            self._stopped = True
        deadline = time.monotonic() + timeout_s
        idle_since = None
        while True:
            now = time.monotonic()
            with self._lock:
                running = self._running
            idle_since = None if running else idle_since or now
            if (idle_since is not None and now - idle_since >= _PAUSE_S) or now >= deadline:
                return running
            await asyncio.sleep(_INTERVAL_S)
