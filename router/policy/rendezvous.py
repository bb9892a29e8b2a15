"""Which of several endpoints a session belongs to, so that every router names the same one.

Rendezvous hashing (Thaler and Ravishankar 1996): the endpoint with the highest hash of the two
names has the session. It needs no table and no agreement, and when an endpoint goes only its own
sessions move. A ring of points was rejected: it has to be built, and is uneven with few endpoints.
"""

from hashlib import blake2b


def weight_of(session: str, endpoint: str) -> int:
    """The session belongs to the endpoint with the greatest weight."""
    names = f"{session}\0{endpoint}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(names, digest_size=8).digest(), "little")
