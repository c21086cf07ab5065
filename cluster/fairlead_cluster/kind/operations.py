"""What `fairlead kind` does: up, images, store, down; each raises SetupError."""

import shlex
from functools import partial

from rich.console import Console

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import Home
from fairlead_cluster.base.steps import Step, run_steps
from fairlead_cluster.kind import programs
from fairlead_cluster.kind.cluster import Cluster
from fairlead_cluster.kind.docker import registry_reachable, remove_replaced_images
from fairlead_cluster.kind.engine import Engine, prefer_building_docker
from fairlead_cluster.kind.images import default_image_names, image_names, image_tag, node_groups, plan_images
from fairlead_cluster.kind.load import plan_loads
from fairlead_cluster.kind.node_image import node_image_tag, plan_node_image
from fairlead_cluster.kind.store import CLIENT_SECRET, ENDPOINT, Store

_AT_ONCE = 2


def up(home: Home, console: Console) -> None:
    """Start the cluster unless it is running."""
    cluster = Cluster(home)
    start_engine(home, console)
    cluster.check_ours()
    if cluster.running:
        _report_old_nodes(cluster, console)
    else:
        published = registry_reachable()
        image = None if published else node_image_tag()
        steps = programs.plan_module(home, programs.KIND, "kind")
        run_steps(steps + ([] if published else plan_node_image(home)), home.logs, console, _AT_ONCE)
        clean = [Step("clean", cluster.delete)] if cluster.nodes else []
        create = Step("cluster", lambda log: cluster.create(image, log), after=tuple(step.name for step in clean))
        run_steps([*clean, create], home.logs, console)
    console.print(
        f"Nodes: {', '.join(cluster.nodes)}\nexport KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}", highlight=False
    )


def make_images(home: Home, console: Console, names: list[str]) -> None:
    """Build those images that are not current, by default all but optional ones; load what the nodes lack."""
    known = image_names()
    if unknown := sorted(set(names) - set(known)):
        raise SetupError(f"images: got {unknown}, expected some of {known}")
    names = names or default_image_names()
    start_engine(home, console)
    cluster = Cluster(home)
    cluster.check_ours()
    builds = plan_images(home, names, published=registry_reachable())
    loads = plan_loads(cluster.nodes, node_groups(names), {step.name for step in builds})
    # loads beside the builds: they wait for the disk, where builds compile
    run_steps([*builds, *loads], home.logs, console, _AT_ONCE + 1)
    remove_replaced_images()
    console.print(f"Images: {', '.join(map(image_tag, names))}", highlight=False)


def install_store(home: Home, console: Console, namespaces: list[str]) -> None:
    """Install the object store and share its credentials with some namespaces."""
    store = Store(Cluster(home))
    shares = [Step(f"share-{name}", partial(store.share, name), after=("store",)) for name in namespaces]
    run_steps([Step("store", store.install), *shares], home.logs, console)
    console.print(f"In the cluster: {ENDPOINT}, credentials in the Secret {CLIENT_SECRET}", highlight=False)


def down(home: Home, console: Console, *, purge: bool) -> None:
    """Delete the cluster, stop an engine that `up` started and restore the machine's settings."""
    engine = Engine(home)
    cluster = Cluster(home)
    if engine.answers:
        cluster.check_ours()
        run_steps([Step("delete", cluster.delete)], home.logs, console)
    if engine.stop():
        console.print("The engine that was started for the cluster is stopped.")
    if purge:
        engine.purge()
    elif engine.data.exists():
        console.print(f"Its images are kept in {engine.data}; `down --purge` deletes them.", highlight=False)


def _report_old_nodes(cluster: Cluster, console: Console) -> None:
    image = cluster.image()
    if image.startswith("fairlead/") and image != node_image_tag():
        console.print(f"The nodes run {image}; this checkout builds {node_image_tag()}: run `down`, then `up`.")


def start_engine(home: Home, console: Console) -> None:
    """Make sure that an engine is running and can build images."""
    engine = Engine(home)
    if not engine.answers:
        run_steps([Step("engine", engine.ensure)], home.logs, console)
    prefer_building_docker()
