"""Time inside the core is integer nanoseconds; this names the conversions at its edges."""

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_HOUR = 3_600 * NS_PER_S


def ns(seconds: float) -> int:
    """Seconds as integer nanoseconds."""
    return round(seconds * NS_PER_S)


def seconds(nanoseconds: int) -> float:
    """Integer nanoseconds as seconds."""
    return nanoseconds / NS_PER_S
