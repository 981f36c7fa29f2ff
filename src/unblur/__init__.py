"""unblur trains, compresses, ships and serves models that take blur out of photographs, bursts and video."""

__version__ = "0.1.0"
