"""What can go wrong with a local fleet."""


class LocalError(Exception):
    """The message is one sentence that says what is wrong and, where that helps, what to do."""
