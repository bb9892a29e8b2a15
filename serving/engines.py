"""Starts the engine that a site's settings name."""

import asyncio
import importlib
import os

from serving.engine import Engine
from serving.engine_arguments import prepare_environment
from serving.fake_engine import FakeEngine
from serving.settings import ReplicaSettings


async def start_engine(settings: ReplicaSettings) -> Engine:
    """An engine that is ready for requests.

    Raises SettingsError where it cannot be, and EngineDeadError where it died while it started.
    """
    if settings.engine == "fake":
        return FakeEngine(settings.fake, settings.names)
    prepare_environment(settings, os.environ)
    # Not at the top: it needs that environment, a GB of memory and some ten seconds.
    module = await asyncio.to_thread(importlib.import_module, "serving.vllm_engine")
    engine: Engine = await module.VllmEngine.start(settings)
    return engine
