"""A channel to nobody."""


class FakeChannel:
    """Keeps what it is given to send, with what goes with it."""

    def __init__(self):
        self.sent = []

    def unary_stream(self, *_, **__):
        return lambda request, **said: self.sent.append((request, said))

    unary_unary = unary_stream
