"""A client that wishes no harm: one stream after the other, each checked, while others attack."""

import threading

from spillway.client import SyncClient
from spillway.client.tls import ClientTls
from tests.router.live.counting import counted_on
from tests.waiting import wait_until

PROMPT, TOKENS = "417", 20


class Honest:
    """Streams all the time from its beginning to its end."""

    def __init__(self, address, authority, key):
        self._client = SyncClient(address, tls=ClientTls(authority), api_key=key)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="honest")
        self.answered = 0
        self.harmed = []

    def __enter__(self):
        self._thread.start()
        self.until_answered()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._client.close()

    def until_answered(self):
        """Waits for the end of a stream that is under way now, and of the one behind it."""
        enough = self.answered + 2
        wait_until(lambda: self.harmed or self.answered >= enough)

    def _run(self):
        wanted = counted_on(PROMPT, TOKENS)
        while not self._over.is_set():
            try:
                text = self._client.generate(PROMPT, max_new_tokens=TOKENS).text
            except Exception as error:  # noqa: BLE001 - whatever it is, a test is told
                self.harmed.append(error)
                return
            if text != wanted:
                self.harmed.append(text)
                return
            self.answered += 1
