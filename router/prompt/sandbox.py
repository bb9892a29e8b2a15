"""Where chat templates run: Jinja's sandbox, in which no operator makes much of little.

A template comes from the site that serves the model. The sandbox keeps it from everything but what
it is given; what it is given could still be multiplied until nothing else runs.
"""

from typing import Any, Final

from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

PRODUCT_MAX: Final = 64 * 1024 * 1024
"""Of what is repeated, in items; as much as a prompt may have."""

EXPONENT_MAX: Final = 64


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of templates."""

    intercepted_binops: frozenset[str] = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """See SandboxedEnvironment. Raises SecurityError."""
        if operator == "**" and not _is_small_power(left, right):
            raise SecurityError(f"a power has at most {EXPONENT_MAX} for its exponent")
        if operator == "*" and _product(left, right) > PRODUCT_MAX:
            raise SecurityError(f"what is repeated has at most {PRODUCT_MAX} items")
        return super().call_binop(context, operator, left, right)


def _is_small_power(left: Any, right: Any) -> bool:
    if isinstance(left, float) or isinstance(right, float):
        return True
    return isinstance(right, int) and abs(right) <= EXPONENT_MAX and _bits(left) <= EXPONENT_MAX


def _product(left: Any, right: Any) -> int:
    """The items of a product of something and a number; of two numbers, their bits."""
    if isinstance(left, int) and isinstance(right, int):
        return _bits(left) * _bits(right)
    many, times = (right, left) if isinstance(left, int) else (left, right)
    return len(many) * times if hasattr(many, "__len__") and isinstance(times, int) else 0


def _bits(number: Any) -> int:
    return number.bit_length() if isinstance(number, int) else 0
