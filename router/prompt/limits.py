"""What a process that runs chat templates may take, and how it is spoken to."""

from typing import Final

CPU_S: Final = 2
"""Of one prompt, in seconds of CPU: the largest chats of the longest templates take a tenth."""

MEMORY_BYTES: Final = 1024 * 1024 * 1024
"""Of a process: a chat of 16 MiB and its prompt of 64, each a few times over."""

KEPT_BYTES_MAX: Final = 256 * 1024 * 1024
"""Above which a process ends when it has answered: the next begins small."""

REPLY_BYTES_MAX: Final = 512 * 1024 * 1024
"""A prompt of 64 million characters, as JSON."""

LENGTH_BYTES: Final = 4
"""Before each message either way, which is JSON: its length, the first byte the highest."""
