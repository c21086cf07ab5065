"""The package depends only on pydantic and numpy, on numpy only for tensors, and on ml_dtypes only where it is."""

import subprocess
import sys

import grimp

TENSOR_MODULES = {
    f"fairlead_contracts.{name}"
    for name in (
        "tensors",
        "array_archives",
        "binary",
        "binning",
        "edge_builders",
        "json_arrays",
        "probabilities",
        "request_tensors",
        "inference",
    )
}

PYDANTIC_MODULES = {
    f"fairlead_contracts.{name}"
    for name in (
        "base",
        "binning",
        "devices",
        "edge_parity",
        "environment",
        "graph",
        "launcher_status",
        "model_card",
        "monitor",
        "parity",
        "progress",
        "reference",
        "termination",
        "tracking",
        "traffic",
        "validation",
    )
}


def test_it_needs_pydantic_and_numpy_and_little_else() -> None:
    graph = grimp.build_graph("fairlead_contracts", include_external_packages=True)
    external = {module for module in graph.modules if not module.startswith("fairlead_contracts")}
    assert external - sys.stdlib_module_names == {"pydantic", "pydantic_core", "numpy", "ml_dtypes"}


def test_numpy_is_loaded_by_the_modules_of_tensors_alone() -> None:
    graph = grimp.build_graph("fairlead_contracts", include_external_packages=True)
    assert graph.find_upstream_modules("fairlead_contracts.errors") & {"numpy", "pydantic"} == set()
    assert graph.find_downstream_modules("numpy") == TENSOR_MODULES


def test_what_devices_load_needs_no_pydantic() -> None:
    graph = grimp.build_graph("fairlead_contracts", include_external_packages=True)
    assert graph.find_downstream_modules("pydantic") == PYDANTIC_MODULES


def test_the_operator_starts_without_numpy() -> None:
    code = "import sys, fairlead.handlers.main; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
