"""What of a frame is not as it was in the one before: most of a fleet stands still at a time.

A frame is figures by their names, some of them lists of further ones. What has changed is told
under its name; of a list as long as before, under its place in it. `changing.js` puts it together.
"""

from typing import Any


def change(before: Any, after: Any) -> Any:
    """What turns one into the other: all of it where they are not alike in their parts."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        parts = {name: (before[name], value) for name, value in after.items()}
    elif isinstance(before, list) and isinstance(after, list) and _has_parts(before, after):
        pairs = zip(before, after, strict=True)
        parts = {str(place): pair for place, pair in enumerate(pairs)}
    else:
        return after
    return {name: change(old, new) for name, (old, new) in parts.items() if old != new}


def _has_parts(before: list[Any], after: list[Any]) -> bool:
    """Whether their parts are worth telling one by one: those are lists, or have names."""
    return len(before) == len(after) and all(
        type(old) is type(new) and isinstance(new, dict | list)
        for old, new in zip(before, after, strict=True)
    )
