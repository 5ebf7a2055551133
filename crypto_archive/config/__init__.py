"""What a user wants: presets, environment and options, read, checked and joined into one request.

``load_request`` is the way in. Everything it refuses it refuses at once, each problem with its place, the values
that would do, and the nearest of them.
"""

from crypto_archive.config.load import Configured, load_request
from crypto_archive.config.preset import Preset
from crypto_archive.config.settings import Settings
from crypto_archive.config.sources import PresetInfo, list_presets

__all__ = ["Configured", "Preset", "PresetInfo", "Settings", "list_presets", "load_request"]
