"""Which columns of a table that is wider than its screen stand beside each other."""

from collections.abc import Sequence


def folds(widths: Sequence[int], width: int, *, gap: int, edges: int = 0) -> list[list[int]]:
    """The columns, by their places, of the tables that stand below each other in `width`.

    Each begins with the first column, which says what a row is about. `widths` are those of the
    columns, `gap` that between two of them, `edges` that of a table's two sides; all in cells of
    the screen. A column that does not fit beside the first one stands there all the same.
    """
    found = [[0]]
    used = start = edges + widths[0]
    for place, wanted in enumerate(widths[1:], start=1):
        if used + gap + wanted > width and len(found[-1]) > 1:
            found.append([0])
            used = start
        found[-1].append(place)
        used += gap + wanted
    return found
