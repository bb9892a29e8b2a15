"""No process that has secrets leaves a picture of its memory."""

import resource

ABORTED = 1
"""As a limit in bytes: no file is so short, and for this one Linux starts no program either that
takes cores through a pipe (`core_pattern`), which it would for a limit of 0."""


def leave_none() -> None:
    """This process, and those that it starts, leave no core when they crash.

    Only the soft limit is lowered: `prlimit --core=unlimited --pid PID` takes it back for somebody
    who hunts a crash.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == resource.RLIM_INFINITY or hard >= ABORTED:
        resource.setrlimit(resource.RLIMIT_CORE, (ABORTED, hard))
