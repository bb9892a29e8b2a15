"""What holds for a client that is told nothing else."""

ADDRESS = "127.0.0.1:7070"
"""Where a router listens unless it is told otherwise."""

CONNECTIONS = 4
"""Several, because a router that runs as several processes shares them out by connection."""

STREAMS_MAX = 1_000
"""Open streams of one client; the next one waits."""

DEADLINE_S = 600.0
"""For a whole answer."""

RESUME_S = 30.0
"""For how long a broken answer is tried to be gone on with: a router restarts in less."""

ASK_DEADLINE_S = 10.0
"""For a question that needs no engine."""
