"""How a command ends: one line on standard error, and an exit code that says what kind it was."""

from enum import IntEnum


class Outcome(IntEnum):
    """Exit codes. Those above 128 are the shell's for a signal."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FLEET_FILE = 3  # it has problems
    REFUSED = 4  # the request is wrong, or names what does not exist
    OVERLOADED = 5  # try again later
    UNREACHABLE = 6  # nobody answers
    DEADLINE = 7
    BROKE_OFF = 8  # a stream that could not be continued
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Failure(Exception):  # noqa: N818  (how a command ends, which is not always an error)
    """Ends a command with this outcome; the message is for the person who ran it."""

    def __init__(self, message: str, outcome: Outcome = Outcome.FAILED) -> None:
        super().__init__(message)
        self.outcome = outcome


_OUTCOMES = {
    "serving.settings.SettingsError": Outcome.USAGE,
    "spillway.batch.errors.BatchError": Outcome.REFUSED,
    "spillway.batch.errors.UnreachableError": Outcome.UNREACHABLE,
    "spillway.certs.errors.CertsError": Outcome.FAILED,
    "spillway.door.haproxy.DoorError": Outcome.FAILED,
    "spillway.drills.on_fleet.FleetDrillError": Outcome.FAILED,
    "spillway.fleet.editing.EditError": Outcome.FAILED,
    "spillway.fleet.problem.FleetError": Outcome.FLEET_FILE,
    "router.prompt.chat_template.ChatTemplateError": Outcome.USAGE,
    "spillway.client.options.OptionError": Outcome.USAGE,
    "spillway.client.errors.BadRequestError": Outcome.REFUSED,
    "spillway.client.errors.NotFoundError": Outcome.REFUSED,
    "spillway.client.errors.UnauthenticatedError": Outcome.REFUSED,
    "spillway.client.errors.PermissionDeniedError": Outcome.REFUSED,
    "spillway.client.errors.DuplicateRequestError": Outcome.REFUSED,
    "spillway.client.errors.OverloadedError": Outcome.OVERLOADED,
    "spillway.client.errors.UnavailableError": Outcome.UNREACHABLE,
    "spillway.client.errors.DeadlineError": Outcome.DEADLINE,
    "spillway.client.errors.AbortedError": Outcome.BROKE_OFF,
    "spillway.client.errors.SpillwayError": Outcome.FAILED,
    "spillway.local.errors.LocalError": Outcome.FAILED,
    "spillway.ray_serve.RayServeError": Outcome.FAILED,
    "spillway.routing.RoutingError": Outcome.FAILED,
    "spillway.sites.draining.DrainError": Outcome.FAILED,
    "spillway.sites.launching.LaunchError": Outcome.FAILED,
    "spillway.site_application.SiteApplicationError": Outcome.FAILED,
    "wire.tls.files.TlsError": Outcome.USAGE,
}
"""By the name of the class, so that a command need not import what it does not use."""


def failure_of(error: Exception) -> Failure | None:
    """The failure that an error of ours means; None for what should not have happened."""
    for kind in type(error).__mro__:
        outcome = _OUTCOMES.get(f"{kind.__module__}.{kind.__qualname__}")
        if outcome is not None:
            retry_after_s = getattr(error, "retry_after_s", None)
            hint = f"; try again in {retry_after_s:.1f} s" if retry_after_s else ""
            return Failure(f"{error}{hint}", outcome)
    return None
