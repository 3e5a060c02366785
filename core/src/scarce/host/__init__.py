"""Giving the caller one plugin, and calling it."""

from scarce.host.hooks import Scope
from scarce.host.loading import Loaded, build, explain, load_config, load_options, load_target, nested

__all__ = ["Loaded", "Scope", "build", "explain", "load_config", "load_options", "load_target", "nested"]
