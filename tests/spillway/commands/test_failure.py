"""Errors of ours end a command by the names that their classes have."""

from importlib import import_module

import pytest

from spillway.client import SpillwayError
from spillway.commands.failure import _OUTCOMES, Outcome, failure_of


@pytest.mark.parametrize("name", _OUTCOMES)
def test_every_name_is_an_exceptions(name):
    """A class that is renamed would end its command with a traceback."""
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(import_module(module), kind), Exception)


@pytest.mark.parametrize("kind", SpillwayError.__subclasses__())
def test_whatever_a_client_raises_has_an_outcome(kind):
    """And its message is what the person reads."""
    failure = failure_of(kind("why"))
    assert str(failure) == "why"
    assert failure.outcome is not Outcome.DONE


def test_what_nobody_foresaw_has_none():
    """It is a defect, which a traceback shows best."""
    assert failure_of(ZeroDivisionError()) is None
