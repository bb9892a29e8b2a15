"""Two sites of small replicas that take whole milliseconds for everything."""

from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.profile import PS_PER_MS, Profile

PROFILE = Profile(
    name="test",
    prefill_base_ps=20 * PS_PER_MS,
    prefill_token_ps=PS_PER_MS // 10,
    prefill_pair_ps=0,
    decode_base_ps=20 * PS_PER_MS,
    decode_seq_ps=PS_PER_MS,
    decode_context_ps=0,
    kv_blocks=2000,
    seqs_max=16,
)
FLEET = Fleet(
    sites=(Site("home", SiteKind.HOME), Site("far", SiteKind.RENTED)),
    slo_classes=(SloClass("default", ttft_ns=NS_PER_S, itl_ns=100 * NS_PER_MS),),
    default_slo="default",
)
