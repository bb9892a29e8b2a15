"""The keys of a fleet file and what each takes."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from router.live.settings import RouterSettings
from router.policy.fleet import Limits, SloClass, Tenant
from spillway.fleet.kinds import (
    Count,
    DashboardUrl,
    EndpointAddress,
    Host,
    ModelName,
    Name,
    Region,
    Text,
    UsdPerGib,
    UsdPerHour,
    UsdPerMonth,
)
from spillway.fleet.section import STRICT, section
from spillway.fleet.values import APPLICATION

SITES_MAX = 1_000
NAMES_MAX = 1_000  # models, classes, aliases
ENDPOINTS_MAX = 1_000  # of one site; more are better discovered

SloSection = section(SloClass, without=("name",))
TenantSection = section(Tenant, without=("name",))
LimitsSection = section(Limits)
RouterSection = section(RouterSettings)


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
    egress: UsdPerGib = 0.0
    budget_hourly: UsdPerHour | None = None
    budget_monthly: UsdPerMonth | None = None


class CapacitySection(BaseModel):
    """How many replicas a site has, and how many of them are paid for, used or not."""

    model_config = STRICT

    replicas: Count = 1
    committed: Count | None = None


class SiteSection(BaseModel):
    """One site."""

    model_config = STRICT

    kind: Literal["home", "rented"]
    region: Region = ""
    ray: RaySection | None = None
    endpoints: list[EndpointAddress] = Field(default_factory=list, max_length=ENDPOINTS_MAX)
    capacity: CapacitySection | None = None
    price: PriceSection = PriceSection()
    model: ModelName | None = None
    serving: dict[str, Any] = Field(default_factory=dict)


class ModelSection(BaseModel):
    """One model."""

    model_config = STRICT

    source: Text
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
    router: RouterSection | None = None  # type: ignore[valid-type]
