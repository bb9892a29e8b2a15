"""The keys of a fleet file and what each takes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from router.live.settings import RouterSettings, SiteTls
from router.policy.fleet import LatencyProfile, Limits, SloClass, Tenant
from router.policy.lending import DAYS, Reclaim
from router.policy.scale import Autoscaling
from spillway.fleet.kinds import (
    Count,
    DashboardUrl,
    Day,
    EndpointAddress,
    FilePath,
    Host,
    ModelName,
    Name,
    Region,
    Share,
    Span,
    Text,
    TimeOfDay,
    UsdPerGib,
    UsdPerHour,
    UsdPerMonth,
    UtcTime,
)
from spillway.fleet.section import STRICT, section
from spillway.fleet.values import APPLICATION
from wire.tls.plaintext import Accepted

SITES_MAX = 1_000
NAMES_MAX = 1_000  # models, classes, aliases
VERSIONS_MAX = 2  # of a model: one that stands, and one that is tried beside it
ENDPOINTS_MAX = 1_000  # of one site; more are better discovered
LENDS_MAX = 100  # windows of one site
ROUTERS_MAX = 64  # that a site's autoscaler asks

SloSection = section(SloClass, without=("name",))
TenantSection = section(Tenant, without=("name",))
LimitsSection = section(Limits)
AutoscalingSection = section(Autoscaling)
RouterSection = section(RouterSettings)
SiteTlsSection = section(SiteTls)
ProfileSection = section(LatencyProfile)
ReclaimSection = section(Reclaim)

_LEND: dict[str, Any] = {
    "replicas": (Annotated[Count, Field(ge=1)], ...),
    "from": (TimeOfDay, ...),  # no name that a class could give a field
    "until": (TimeOfDay, ...),
    "days": (Annotated[list[Day], Field(min_length=1, max_length=len(DAYS))], list(DAYS)),
}
LendSection: type[BaseModel] = create_model(
    "LendSection",
    __config__=STRICT,
    __doc__="When some of a site's replicas are given to other work, and how many.",
    **_LEND,
)


class RaySection(BaseModel):
    """A Ray cluster, by its dashboard."""

    model_config = STRICT

    dashboard: DashboardUrl
    application: Name = APPLICATION
    host: Host | None = None
    runtime_env: dict[str, Any] = Field(default_factory=dict)


class PriceSection(BaseModel):
    """What a site's capacity costs."""

    model_config = STRICT

    metered: UsdPerHour = 0.0
    committed: UsdPerHour = 0.0
    egress: UsdPerGib = 0.0
    budget_hourly: UsdPerHour | None = None
    budget_monthly: UsdPerMonth | None = None
    warn_monthly: UsdPerMonth | None = None


class CapacitySection(BaseModel):
    """How many replicas a site has, and how many of them are paid for, used or not."""

    model_config = STRICT

    replicas: Count = 1
    committed: Count | None = None
    hardware: Name | Literal[""] = ""
    gpus: Annotated[Count, Field(ge=1)] = 1


class ScaleSection(BaseModel):
    """How far a site grows and shrinks by itself; see router.policy.scale for the defaults."""

    model_config = STRICT

    min: Count
    max: Count
    start: Span | None = None
    billing: Span | None = None
    spare: Span | None = None
    routers: list[EndpointAddress] = Field(default_factory=list, max_length=ROUTERS_MAX)
    key_file: FilePath | None = None
    authority: FilePath | None = None


class SiteSection(BaseModel):
    """One site."""

    model_config = STRICT

    kind: Literal["home", "rented"]
    region: Region = ""
    ray: RaySection | None = None
    endpoints: list[EndpointAddress] = Field(default_factory=list, max_length=ENDPOINTS_MAX)
    link: Literal["auto", "off"] = "auto"
    direct: Literal["auto", "off"] = "auto"
    door: EndpointAddress | None = None
    tls: SiteTlsSection | None = None  # type: ignore[valid-type]
    plaintext: Accepted | None = None
    capacity: CapacitySection | None = None
    price: PriceSection = PriceSection()
    scale: ScaleSection | None = None
    lend: list[LendSection] = Field(default_factory=list, max_length=LENDS_MAX)  # type: ignore[valid-type]
    reclaim: ReclaimSection | None = None  # type: ignore[valid-type]
    lease_until: UtcTime | None = None
    profile: ProfileSection | None = None  # type: ignore[valid-type]
    model: ModelName | None = None
    serving: dict[str, Any] = Field(default_factory=dict)


class VersionSection(BaseModel):
    """One version of a model, by the name that its endpoints have for it."""

    model_config = STRICT

    served: ModelName
    share: Share | None = None


class ModelSection(BaseModel):
    """One model."""

    model_config = STRICT

    source: Text | None = None
    versions: list[VersionSection] = Field(default_factory=list, max_length=VERSIONS_MAX)
    aliases: list[ModelName] = Field(default_factory=list, max_length=NAMES_MAX)


class FileSection(BaseModel):
    """The whole file."""

    model_config = STRICT

    sites: dict[Name, SiteSection] = Field(min_length=1, max_length=SITES_MAX)
    models: dict[ModelName, ModelSection] = Field(default_factory=dict, max_length=NAMES_MAX)
    slo_classes: dict[Name, SloSection] = Field(min_length=1, max_length=NAMES_MAX)  # type: ignore[valid-type]
    default_slo: Name | None = None
    tenants: dict[Name, TenantSection] = Field(default_factory=dict, max_length=NAMES_MAX)  # type: ignore[valid-type]
    limits: LimitsSection | None = None  # type: ignore[valid-type]
    autoscaling: AutoscalingSection | None = None  # type: ignore[valid-type]
    router: RouterSection | None = None  # type: ignore[valid-type]
