"""The LoRA adapters of a vLLM engine: loaded before a request for one of them gets there."""

import logging
from collections.abc import Collection, Mapping

import grpc
from vllm.lora.request import LoRARequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError as VllmEngineDeadError

from serving.adapter_shelf import AdapterShelf
from serving.engine import EngineDeadError, EngineInfo
from serving.vllm_alive import while_alive
from wire.status import bad_field

log = logging.getLogger(__name__)


class VllmAdapters:
    """The adapters that requests may name, and those of them that are loaded."""

    def __init__(self, llm: AsyncLLM, info: EngineInfo, places: Mapping[str, str]) -> None:
        """`places` has each one's folder."""
        self._llm = llm
        self._requests = {
            name: LoRARequest(name, number, place)
            for number, (name, place) in enumerate(places.items(), start=1)
        }
        self.shelf = AdapterShelf(
            self._load,
            loaded_max=max(info.max_cpu_loras, info.max_loras),
            running_max=info.max_loras,
        )

    def request(self, name: str) -> LoRARequest | None:
        """What vLLM takes for the adapter of this name; None for an empty one."""
        return self._requests[name] if name else None

    async def _load(self, name: str) -> Collection[str]:
        """Has vLLM load it, and asks what is loaded then: what it has forgotten is its choice."""
        try:
            await while_alive(self._llm, self._llm.add_lora(self._requests[name]))
            there = await while_alive(self._llm, self._llm.list_loras())
        except VllmEngineDeadError as error:
            raise EngineDeadError from error
        except EngineDeadError:
            raise
        except Exception as error:  # vLLM passes on what its worker raised as a plain Exception
            log.exception("the adapter %s cannot be loaded", name)
            raise bad_field(
                "lora_name",
                "cannot be loaded here; the log of this replica says why",
                grpc.StatusCode.FAILED_PRECONDITION,
            ) from error
        return [name for name, request in self._requests.items() if request.lora_int_id in there]
