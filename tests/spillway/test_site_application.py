"""A site's application is deployed, looked at and removed beside what else runs on the cluster."""

import copy

import pytest

from serving.serve_environment import GRPC_SERVICES
from spillway.ray_serve import ApplicationStatus, RayServe, RayServeError
from spillway.site_application import SiteApplication, SiteApplicationError


class FakeServe(RayServe):
    """A Serve instance in this process, which reconciles at once."""

    def __init__(self):
        super().__init__("http://cluster:8265")
        self.answer = {"applications": {}, "target_groups": []}
        self.asked = []
        self.direct_ingress = True

    def details(self):
        return copy.deepcopy(self.answer)

    def deploy(self, config):
        self.asked.append(config)
        self.answer["grpc_options"] = config["grpc_options"]
        self.answer["proxy_location"] = config["proxy_location"]
        kept = {
            name: one
            for name, one in self.answer["applications"].items()
            if one["source"] == "imperative"
        }
        self.answer["applications"] = kept | {
            one["name"]: running(one) for one in config["applications"]
        }
        self.answer["target_groups"] = [
            {
                "protocol": "gRPC",
                "app_name": one["name"],
                "targets": [{"ip": "10.0.0.5", "port": 40000}] if self.direct_ingress else [],
            }
            for one in config["applications"]
        ]


def running(config, source="declarative"):
    """An application as the dashboard lists it."""
    replicas = [{"state": "RUNNING"}]
    return {
        "status": "RUNNING",
        "message": "",
        "source": source,
        "deployed_app_config": config if source == "declarative" else None,
        "deployments": {"replica": {"message": "", "replicas": replicas}},
    }


@pytest.fixture
def serve():
    return FakeServe()


@pytest.fixture
def application(serve):
    return SiteApplication(serve, "spillway")


def test_an_empty_cluster_gets_serve_and_the_application(application, serve):
    """With the services without which a replica would open no port, and no proxies."""
    assert application.deploy({"model": "/m"}, {"env_vars": {"A": "1"}})
    assert serve.asked == [
        {
            "proxy_location": "Disabled",
            "grpc_options": {"grpc_servicer_functions": [GRPC_SERVICES]},
            "applications": [
                {
                    "name": "spillway",
                    "route_prefix": "/spillway",
                    "import_path": "serving.app:build",
                    "args": {"model": "/m"},
                    "external_scaler_enabled": True,
                    "runtime_env": {"env_vars": {"A": "1"}},
                }
            ],
        }
    ]
    seen = []
    assert application.wait_until_serving(1.0, seen.append) == ["10.0.0.5:40000"]
    assert seen == [ApplicationStatus("spillway", "RUNNING", "", 1, 0)]


def test_where_serve_says_how_many_replicas_there_are_nobody_else_does(application, serve):
    """Serve refuses an application that has both."""
    autoscale = {"site": "home", "routers": ["r:7070"], "min_replicas": 0, "max_replicas": 2}
    assert application.deploy({"model": "/m", "autoscale": autoscale})
    assert serve.asked[0]["applications"][0]["external_scaler_enabled"] is False


def test_deploying_again_asks_for_what_differs_only(application, serve):
    """The same arguments change nothing; others are deployed."""
    assert application.deploy({"model": "/m"})
    assert not application.deploy({"model": "/m"})
    assert application.deploy({"model": "/m", "replicas": 2})
    assert len(serve.asked) == 2


def test_an_unhealthy_application_is_deployed_again(application, serve):
    """What does not run is asked for, though its arguments are the same."""
    application.deploy({"model": "/m"})
    serve.answer["applications"]["spillway"]["status"] = "DEPLOY_FAILED"
    assert application.deploy({"model": "/m"})


def test_others_on_the_cluster_stay(application, serve):
    """Those of a config are put back as they are; those of a program are not mentioned."""
    other = {"name": "other", "import_path": "other:app"}
    serve.answer |= {
        "proxy_location": "EveryNode",
        "http_options": {"port": 8001},
        "grpc_options": {"port": 9001, "grpc_servicer_functions": [GRPC_SERVICES]},
        "applications": {
            "other": running(other),
            "by hand": running({}, source="imperative"),
        },
    }
    application.deploy({"model": "/m"})
    assert [one["name"] for one in serve.asked[0]["applications"]] == ["other", "spillway"]
    assert serve.asked[0]["applications"][0] == other
    assert serve.asked[0]["http_options"] == {"port": 8001}
    assert serve.asked[0]["proxy_location"] == "EveryNode"
    assert application.remove()
    assert serve.asked[1]["applications"] == [other]
    assert set(serve.answer["applications"]) == {"other", "by hand"}
    assert not application.remove()


def test_a_serve_without_our_services_is_refused(application, serve):
    """They can only be given when it starts, so it is said how."""
    serve.answer["grpc_options"] = {"port": 9000, "grpc_servicer_functions": []}
    with pytest.raises(SiteApplicationError, match="without Spillway's gRPC services"):
        application.deploy({"model": "/m"})
    assert serve.asked == []


def test_replicas_without_a_port_are_an_error(application, serve):
    """The cluster runs without direct ingress, and no router could reach them."""
    serve.direct_ingress = False
    application.deploy({"model": "/m"})
    with pytest.raises(SiteApplicationError, match="RAY_SERVE_ENABLE_DIRECT_INGRESS=1"):
        application.wait_until_serving(1.0, lambda _: None)


def test_what_a_program_deployed_is_left_to_it(application, serve):
    """Removing it by leaving it out would do nothing, silently."""
    serve.answer["applications"]["spillway"] = running({}, source="imperative")
    with pytest.raises(SiteApplicationError, match="remove it there"):
        application.remove()


def test_it_is_waited_for_until_it_is_gone(application, serve):
    """Serve takes a while to let streams finish."""
    application.deploy({"model": "/m"})
    with pytest.raises(RayServeError, match="still there after 0 s"):
        serve.wait_until_gone("spillway", 0.0)
    application.remove()
    serve.wait_until_gone("spillway", 0.0)


@pytest.mark.parametrize("source", ["declarative", "imperative"])
def test_an_application_of_somebody_else_is_not_replaced_and_not_removed(
    application, serve, source
):
    """It has the name by chance, on a cluster that was there before."""
    theirs = {"name": "spillway", "import_path": "theirs:app"}
    serve.answer["applications"]["spillway"] = running(theirs, source)
    for act in (
        lambda: application.deploy({"model": "/m"}),
        lambda: application.changes({"model": "/m"}),
        application.remove,
    ):
        with pytest.raises(SiteApplicationError, match="--application"):
            act()
    assert serve.asked == []


def test_whoever_waits_hears_that_another_deployment_left_it_out(application, serve):
    """Two operators tell one cluster at the same time what it shall run: the later word holds."""
    application.deploy({"model": "/m"})
    serve.answer["applications"] = {}
    missing = []

    def again():
        missing.append(1)
        application.deploy({"model": "/m"})

    assert application.wait_until_serving(5.0, lambda _: None, again) == ["10.0.0.5:40000"]
    assert missing == [1]
