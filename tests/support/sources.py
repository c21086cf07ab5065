"""Sources of facts that nothing has been read from yet."""

import aiohttp
from fairlead.core.settings import Settings
from fairlead.kube.children import ChildCache
from fairlead.kube.client import KubeClient
from fairlead.kube.devices import GpuServers
from fairlead.kube.inquiries import Inquiries
from fairlead.kube.monitoring import MonitoredServers
from fairlead.kube.observe import Sources
from fairlead.kube.optional import OptionalKinds
from fairlead.kube.prometheus import Prometheus
from fairlead.kube.reports import Rates, Reports
from fairlead.kube.resources import ResourceCache
from fairlead.kube.sampler import Samplers
from fairlead.kube.traffic import TrafficServers


def make_sources(kube: KubeClient, http: aiohttp.ClientSession, settings: Settings | None = None) -> Sources:
    """Return empty sources; they poll nothing by themselves."""
    children = ChildCache(lambda _: None)
    return Sources(
        children=children,
        resources=ResourceCache(lambda _: None),
        reports=Reports(http, lambda _: None, Rates(1, 1, 1, 1)),
        store=Inquiries(lambda _: None, 1.0),
        answers=Inquiries(lambda _: None, 1.0),
        traffic=TrafficServers(http, kube, lambda _: None),
        prometheus=Prometheus(http, "", lambda _: None),
        monitors=MonitoredServers(http, lambda _: None),
        gpus=GpuServers(http, lambda _: None),
        optional=OptionalKinds(kube, children),
        samplers=Samplers(Inquiries(lambda _: None, 1.0)),
        http=http,
        settings=settings or Settings(),
    )
