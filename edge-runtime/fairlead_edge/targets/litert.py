"""LiteRT (TensorFlow Lite) in 32 bits, one example at a time; needs `fairlead-edge-builders` to be built."""

from .base import Target
from .elsewhere import build_elsewhere
from .litert_session import FILE, LiteRtSession

TARGET = Target(
    "litert", "LiteRT for Android, iOS and Linux, 32 bits", (FILE,), build_elsewhere("litert"), LiteRtSession
)
