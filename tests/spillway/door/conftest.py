"""Routers and clients of these tests are those of direct mode."""

from tests.spillway.client.conftest import keys, patient

__all__ = ["keys", "patient"]
