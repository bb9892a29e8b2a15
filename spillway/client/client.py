"""The asynchronous client of a router, a site or a replica: they speak the same API."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Self, Unpack

import grpc
import grpc.aio

from router.prompt.chat_template import ChatTemplate, Message
from spillway.client.answering import Answering
from spillway.client.chunk import Answer, answer_of
from spillway.client.connections import Connections
from spillway.client.cookies import Cookies
from spillway.client.defaults import (
    ADDRESS,
    ASK_DEADLINE_S,
    CONNECTIONS,
    DEADLINE_S,
    RESUME_S,
    STREAMS_MAX,
)
from spillway.client.direct import Direct
from spillway.client.errors import UnsupportedError
from spillway.client.line import check_line
from spillway.client.options import Call, OptionError, Options
from spillway.client.prompting import Conversation, Given, call_for, one_prompt
from spillway.client.stream import Stream
from spillway.client.templates import Reading, Templates, no_template, only_of
from spillway.client.tls import ClientTls, opened_aio
from wire.spillway.v1 import cost_pb2, cost_pb2_grpc, fleet_pb2, fleet_pb2_grpc, tokenizer_pb2_grpc
from wire.status import Metadata
from wire.vllm import control_pb2, control_pb2_grpc


class Client:
    """The client of a service: `async with Client("router.example.org:7070") as client: ...`.

    Calls of one client share a bounded pool of connections, which open when they are needed.
    """

    def __init__(
        self,
        address: str | Sequence[str] = ADDRESS,
        *,
        connections: int = CONNECTIONS,
        streams_max: int = STREAMS_MAX,
        deadline_s: float = DEADLINE_S,
        resume_s: float = RESUME_S,
        chat_template: ChatTemplate | None = None,
        direct: bool = False,
        api_key: str | None = None,
        tls: ClientTls | None = None,
        plaintext: str | None = None,
    ) -> None:
        """`address` is one router's or several routers', which are used in turn as they fail.

        `deadline_s` is for calls that name none; `resume_s` is for how long an answer that broke
        off is tried to be gone on with, 0 for not at all; `chat_template` makes a text of messages,
        instead of the one that the model has.
        `api_key` says who asks; left out, it is that of the environment, SPILLWAY_API_KEY.
        With `direct`, answers come from where the router says, and not through it, where they can.
        Without `tls`, the router is spoken to in plaintext. The two exclude each other.
        A key goes in plaintext to this machine alone, unless `plaintext` has the words that accept
        it; left out, they are those of the environment, SPILLWAY_PLAINTEXT.

        Raises OptionError.
        """
        if direct and tls is not None:
            raise OptionError(
                "direct and tls exclude each other: endpoints speak plaintext to clients"
            )
        self._resume_s = resume_s
        self._templates = Templates(chat_template)
        self._deadline_s = deadline_s
        self._connections = Connections(
            lambda one: opened_aio(one, tls), address, connections, api_key
        )
        if self._connections.credentials and tls is None:
            check_line(self._connections.addresses, plaintext)
        self._places = asyncio.Semaphore(streams_max)
        self._cookies = Cookies()
        self._direct = Direct(self._connections) if direct else None

    @property
    def address(self) -> str:
        """The address in use."""
        return self._connections.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; what still streams on them is cancelled."""
        if self._direct is not None:
            await self._direct.close()
        for channel in self._connections.close():
            await channel.close()

    def stream(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        token_ids: Sequence[int] | None = None,
        **options: Unpack[Options],
    ) -> Stream:
        """The answer to a prompt, given as text, messages or token ids, chunk by chunk.

        Raises:
            TypeError, OptionError: there is no such option, or its value cannot be sent.
        """
        given = one_prompt(prompt, messages, token_ids)
        call = call_for(given, options, deadline_s=self._deadline_s, cookies=self._cookies)
        put = partial(self._put, given)
        return Stream(
            Answering(self._connections, self._places, put, call, self._resume_s, self._direct)
        )

    async def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        token_ids: Sequence[int] | None = None,
        **options: Unpack[Options],
    ) -> Answer:
        """The whole answer to a prompt. Raises as `stream` and its chunks do."""
        stream = self.stream(prompt, messages=messages, token_ids=token_ids, **options)
        async with stream:
            chunks = [chunk async for chunk in stream]
        return answer_of(chunks, stream.ending)

    async def explain(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        token_ids: Sequence[int] | None = None,
        **options: Unpack[Options],
    ) -> fleet_pb2.Decision:
        """Where the router would send this request, and why, without sending it."""
        given = one_prompt(prompt, messages, token_ids)
        call = call_for(given, options, deadline_s=ASK_DEADLINE_S, cookies=self._cookies)
        await self._put(given, call)
        request = fleet_pb2.ExplainRequest(request=call.request)
        decision: fleet_pb2.Decision = await self._ask(
            fleet_pb2_grpc.FleetStub, "Explain", request, call.told
        )
        return decision

    async def watch_fleet(
        self, interval_s: float = 1.0, deadline_s: float | None = None
    ) -> AsyncGenerator[fleet_pb2.FleetState, None]:
        """The state of every site, at this interval, until the caller stops listening.

        It ends with DeadlineError after `deadline_s` seconds, where they are given.
        """
        request = fleet_pb2.WatchFleetRequest(interval_ms=round(interval_s * 1000))
        connection = self._connections.take()
        call = fleet_pb2_grpc.FleetStub(connection.channel).Watch(
            request, metadata=self._connections.credentials, timeout=deadline_s
        )
        try:
            async for state in call:
                yield state
        except grpc.aio.AioRpcError as error:
            raise self._connections.failed(connection, error) from None
        finally:
            call.cancel()
            self._connections.give_back(connection)

    async def models(self) -> list[str]:
        """The names of the models that are served there."""
        try:
            async with aclosing(self.watch_fleet(deadline_s=ASK_DEADLINE_S)) as states:
                async for state in states:
                    served = {one.model for site in state.sites for one in site.endpoints}
                    return sorted(served - {""})
        except UnsupportedError:  # a replica
            question = control_pb2.GetModelInfoRequest()
            info = await self._ask(control_pb2_grpc.ControlStub, "GetModelInfo", question)
            return [info.served_model_name]
        return []

    async def drain(self, site: str) -> int:
        """Keep new turns away from a site; how many streams are still open there."""
        request = fleet_pb2.DrainRequest(site=site)
        answer = await self._ask(fleet_pb2_grpc.FleetStub, "Drain", request)
        open_streams: int = answer.open_streams
        return open_streams

    async def undrain(self, site: str) -> None:
        """Let turns go to a site again."""
        await self._ask(fleet_pb2_grpc.FleetStub, "Undrain", fleet_pb2.UndrainRequest(site=site))

    async def reload(self, *, dry_run: bool = False) -> fleet_pb2.ReloadResponse:
        """Have the router go by its fleet file as it is now; what that changes."""
        request = fleet_pb2.ReloadRequest(dry_run=dry_run)
        told: fleet_pb2.ReloadResponse = await self._ask(
            fleet_pb2_grpc.FleetStub, "Reload", request
        )
        return told

    async def lend(
        self, site: str, replicas: int, until_unix_s: float, reason: str = ""
    ) -> fleet_pb2.Lent:
        """Give replicas of a home site to other work until a time of the wall clock.

        The same again changes nothing; anything else replaces the loan that the site has.
        """
        request = fleet_pb2.LendRequest(
            site=site, replicas=replicas, until_unix_ns=round(until_unix_s * 1e9), reason=reason
        )
        answer: fleet_pb2.Lent = await self._ask(fleet_pb2_grpc.FleetStub, "Lend", request)
        return answer

    async def reclaim(self, site: str, replicas: int = 0) -> fleet_pb2.Lent:
        """Take so many replicas back from other work, or all; what is still lent."""
        request = fleet_pb2.ReclaimRequest(site=site, replicas=replicas)
        answer: fleet_pb2.Lent = await self._ask(fleet_pb2_grpc.FleetStub, "Reclaim", request)
        return answer

    async def lent(self) -> list[fleet_pb2.Lent]:
        """What each site that lends anything lends."""
        request = fleet_pb2.ListLentRequest()
        answer = await self._ask(fleet_pb2_grpc.FleetStub, "ListLent", request)
        return list(answer.lent)

    async def sessions(
        self, site: str = "", tenant: str = "", limit: int = 0
    ) -> fleet_pb2.ListSessionsResponse:
        """The sessions that the router has placed, the most recently used first."""
        request = fleet_pb2.ListSessionsRequest(site=site, tenant=tenant, limit=limit)
        listed: fleet_pb2.ListSessionsResponse = await self._ask(
            fleet_pb2_grpc.FleetStub, "ListSessions", request
        )
        return listed

    async def return_rollout(self, model: str, why: str = "") -> fleet_pb2.RolloutState:
        """Take the new version of a model back. NotFoundError where no two versions serve it."""
        request = fleet_pb2.ReturnRolloutRequest(model=model, why=why)
        state: fleet_pb2.RolloutState = await self._ask(
            fleet_pb2_grpc.FleetStub, "ReturnRollout", request
        )
        return state

    async def resume_rollout(self, model: str) -> fleet_pb2.RolloutState:
        """Give it its share again. NotFoundError where no two versions serve the model."""
        request = fleet_pb2.ResumeRolloutRequest(model=model)
        state: fleet_pb2.RolloutState = await self._ask(
            fleet_pb2_grpc.FleetStub, "ResumeRollout", request
        )
        return state

    async def quarantined(self) -> list[fleet_pb2.Quarantined]:
        """The prompts that the router keeps away because engines crashed under them."""
        request = fleet_pb2.ListQuarantineRequest()
        answer = await self._ask(fleet_pb2_grpc.FleetStub, "ListQuarantine", request)
        return list(answer.quarantined)

    async def release_quarantine(self, fingerprint: str) -> None:
        """Let a prompt in again. NotFoundError for one that is not in quarantine."""
        request = fleet_pb2.ReleaseQuarantineRequest(fingerprint=fingerprint)
        await self._ask(fleet_pb2_grpc.FleetStub, "ReleaseQuarantine", request)

    async def cost(
        self, by: Sequence[str] = (), since: str = "", until: str = ""
    ) -> cost_pb2.CostReport:
        """What was spent, by the router's ledger; days are as 2026-11-29, in UTC."""
        request = cost_pb2.CostRequest(by=by, since=since, until=until)
        report: cost_pb2.CostReport = await self._ask(cost_pb2_grpc.CostStub, "Report", request)
        return report

    async def reconcile(self, since: str = "", until: str = "") -> cost_pb2.Reconciliation:
        """The router's ledger beside what the sites' engines count."""
        request = cost_pb2.ReconcileRequest(since=since, until=until)
        found: cost_pb2.Reconciliation = await self._ask(
            cost_pb2_grpc.CostStub, "Reconcile", request
        )
        return found

    async def _put(self, given: Given, call: Call) -> None:
        """The text of messages into the request; any other prompt is there already."""
        if isinstance(given, Conversation):
            model = call.request.model
            template = self._templates.known(model)
            if template is None:
                model = model or only_of(await self.models())
                template = self._templates.known(model) or await self._read_template(model)
            call.request.text = template.render_text(given.messages)

    async def _read_template(self, model: str) -> ChatTemplate:
        reading, connection = Reading(model), self._connections.take()
        stub = tokenizer_pb2_grpc.TokenizerStub(connection.channel)
        call = stub.ReadTokenizer(
            reading.request, metadata=self._connections.credentials, timeout=ASK_DEADLINE_S
        )
        try:
            async for piece in call:
                reading.add(piece)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                raise no_template(model) from None
            raise self._connections.failed(connection, error) from None
        finally:
            call.cancel()
            self._connections.give_back(connection)
        return self._templates.keep(reading)

    async def _ask(self, stub: Any, method: str, request: Any, metadata: Metadata = ()) -> Any:
        connection = self._connections.take()
        try:
            return await getattr(stub(connection.channel), method)(
                request,
                metadata=(*metadata, *self._connections.credentials),
                timeout=ASK_DEADLINE_S,
            )
        except grpc.aio.AioRpcError as error:
            raise self._connections.failed(connection, error) from None
        finally:
            self._connections.give_back(connection)
