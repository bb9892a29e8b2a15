"""A Ray dashboard without Ray: Serve's replicas and jobs, as its REST API has them."""

import contextlib
from dataclasses import dataclass, field

from aiohttp import web

APPLICATION = "llm"


@dataclass
class FakeCluster:
    """Replicas `ports` run, the first of them the oldest; `target` of them shall."""

    ports: list[int]
    target: int = 0
    configured: int | str | None = 0  # None: Serve autoscales, and does not say
    jobs: dict[str, dict] = field(default_factory=dict)
    done: list[tuple] = field(default_factory=list)  # what was asked for, and has an effect
    refuses: tuple[int, str] | None = None
    answers: object = None  # instead of what Serve runs
    stopped: list[int] = field(default_factory=list)
    waiting: int = 0  # replicas without a place
    url: str = ""

    def __post_init__(self):
        self.configured = len(self.ports) if self.configured == 0 else self.configured
        self.target = self.target or len(self.ports)

    def borrow(self, name, status="RUNNING"):
        """A job that runs on what is lent."""
        self.jobs[name] = {"metadata": {"spillway": "borrower"}, "status": status}

    async def serve(self, _request):
        if self.answers is not None:
            return web.json_response(self.answers)
        replicas = [
            {"actor_name": f"replica#{port}", "node_id": "node", "state": "RUNNING"}
            for port in self.ports
        ]
        replicas += [{"actor_name": None, "node_id": None, "state": "STARTING"}] * self.waiting
        replicas = [{**one, "start_time_s": float(at)} for at, one in enumerate(replicas)]
        targets = [
            {"ip": "10.0.0.5", "port": port, "name": f"replica#{port}"} for port in self.ports
        ]
        deployment = {
            "name": "replica",
            "deployment_config": {}
            if self.configured is None
            else {"num_replicas": self.configured},
            "target_num_replicas": self.target,
            "replicas": replicas,
        }
        return web.json_response(
            {
                "applications": {APPLICATION: {"deployments": {"replica": deployment}}},
                "target_groups": [{"protocol": "gRPC", "targets": targets}],
                "controller_info": {"node_id": "head"},
            }
        )

    async def scale(self, request):
        if self.refuses is not None:
            status, said = self.refuses
            return web.json_response({"error": said}, status=status)
        assert request.match_info["application"] == APPLICATION
        self.target = (await request.json())["target_num_replicas"]
        self.done.append(("scale", self.target))
        return web.json_response({"message": "received"})

    async def list_jobs(self, _request):
        return web.json_response(
            [{"submission_id": name, "start_time": 0, **job} for name, job in self.jobs.items()]
        )

    async def submit(self, request):
        asked = await request.json()
        name = asked["submission_id"]
        self.jobs[name] = {"metadata": asked["metadata"], "status": "SUCCEEDED"}
        self.done.append(("submit", asked["entrypoint"]))
        return web.json_response({"submission_id": name})

    async def stop(self, request):
        if self.refuses is not None:
            return web.json_response({}, status=self.refuses[0])
        name = request.match_info["job"]
        self.done.append(("stop", name))
        self.jobs[name]["status"] = "STOPPED"
        return web.json_response({"stopped": True})

    async def delete(self, request):
        del self.jobs[request.match_info["job"]]
        return web.json_response({"deleted": True})


@contextlib.asynccontextmanager
async def fake_cluster(*ports):
    cluster = FakeCluster(list(ports))
    app = web.Application()
    app.router.add_get("/api/serve/applications/", cluster.serve)
    scale = "/api/v1/applications/{application}/deployments/replica/scale"
    app.router.add_post(scale, cluster.scale)
    app.router.add_get("/api/jobs/", cluster.list_jobs)
    app.router.add_post("/api/jobs/", cluster.submit)
    app.router.add_post("/api/jobs/{job}/stop", cluster.stop)
    app.router.add_delete("/api/jobs/{job}", cluster.delete)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    port = listening._server.sockets[0].getsockname()[1]
    cluster.url = f"http://127.0.0.1:{port}"
    try:
        yield cluster
    finally:
        await runner.cleanup()
