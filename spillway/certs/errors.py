"""What can go wrong with certificates."""


class CertsError(Exception):
    """Certificates that cannot be made or read; the message is one line."""
