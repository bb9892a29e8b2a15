"""What the tests of the rivals share: endpoints, requests and their outcomes, by hand."""

import random

from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS

MODEL = "m"


class Driver:
    """Drives one rival over endpoints named `site/number`."""

    def __init__(self, rival, *names, rtt_ms=None):
        self.rival = rival
        self.rng = random.Random(7)
        self.now = 0
        self.count = 0
        for name in names:
            site = name.split("/", maxsplit=1)[0]
            rival.on_endpoint_up(Endpoint(name, site, MODEL), 0)
            rival.on_rtt(name, round((rtt_ms or {}).get(site, 1.0) * NS_PER_MS), 0)

    def request(self, *, prefix=(), prompt=1600, session="", output=100):
        """A request whose blocks have 16 tokens."""
        self.count += 1
        return Request(
            f"r{self.count}",
            MODEL,
            session=session,
            prompt_tokens=prompt,
            max_new_tokens=output,
            prefix=tuple(prefix),
        )

    def decide(self, request):
        """What the rival says, whatever it is."""
        return self.rival.on_request(request, self.now, self.rng)

    def send(self, request=None, **kind):
        """Send a request; its decision."""
        decision = self.decide(request or self.request(**kind))
        assert isinstance(decision, Send), decision
        return decision

    def sends(self, count, **kind):
        """The endpoints of so many requests."""
        return [self.send(**kind).endpoint for _ in range(count)]

    def first(self, send, ttft_ms=100.0):
        """Its first token comes."""
        outcome = FirstToken(send.request, send.endpoint, round(ttft_ms * NS_PER_MS))
        return self.rival.on_outcome(outcome, self.now, self.rng)

    def end(self, send, end=End.OK, *, messages=1, output=100, duration_ms=1000.0):
        """It ends."""
        duration_ns = round(duration_ms * NS_PER_MS)
        outcome = Ended(send.request, send.endpoint, end, output, messages, duration_ns)
        return self.rival.on_outcome(outcome, self.now, self.rng)

    def finish(self, send, ttft_ms=100.0):
        """It gets its first token and ends."""
        self.first(send, ttft_ms)
        self.end(send)

    def report(self, endpoint, sequence=1, **load):
        """The endpoint reports."""
        self.rival.on_load(LoadReport(endpoint, "1", sequence, **load), self.now)


def blocks(start, count=100):
    """Names of a prompt's blocks; prompts with other starts share none."""
    return tuple(range(start * 1_000_000, start * 1_000_000 + count))
