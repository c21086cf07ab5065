"""LiteRT with 8-bit weights and activations, quantized by real examples; input and outputs stay in 32 bits."""

from .base import Target
from .elsewhere import build_elsewhere
from .litert_session import FILE, LiteRtSession

TARGET = Target(
    "litert-int8",
    "LiteRT for Android, iOS and Linux, 8-bit weights and activations",
    (FILE,),
    build_elsewhere("litert-int8"),
    LiteRtSession,
)
