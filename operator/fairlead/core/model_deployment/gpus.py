"""GPUs that predictors ask for, and the image that their graph servers get."""

from collections.abc import Mapping

from fairlead.api.model_deployment import Predictor
from fairlead.core import names
from fairlead.core.settings import Settings


def requests_gpu(predictor: Predictor) -> bool:
    """Return whether a predictor's graph server asks for NVIDIA GPUs, or parts of some."""
    limits = (predictor.server.resources or {}).get("limits") if predictor.server else None
    if not isinstance(limits, Mapping):
        return False
    return any(str(name).startswith(names.GPU_RESOURCES) and str(count) != "0" for name, count in limits.items())


def choose_image(predictor: Predictor, settings: Settings) -> str:
    """Return the administrator's image for a predictor's graph server."""
    return settings.graph_server_cuda_image if requests_gpu(predictor) else settings.graph_server_image


def with_image(settings: Settings, image: str) -> Settings:
    """Return settings by which every graph server gets one image."""
    return settings.model_copy(update={"graph_server_image": image, "graph_server_cuda_image": image})
