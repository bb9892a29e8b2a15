"""Garbage that does something when it is collected."""

import gc
import threading


class Collected:
    """Part of a cycle, so that only the collector finds it, and only when the test runs it."""

    def __init__(self, then):
        gc.disable()
        self.itself = self
        self.then = then

    def __del__(self):
        gc.enable()
        self.then()


def ends(work):
    """Does this, which must come to an end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
