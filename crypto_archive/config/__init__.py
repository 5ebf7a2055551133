"""What a user wants: presets, environment and options, read, checked and joined into one request.

``load_request`` is the way in. Everything it refuses it refuses at once, each problem with its place, the values
that would do, and the nearest of them.
"""

from crypto_archive.config.effective import EffectiveField, effective_document, effective_fields
from crypto_archive.config.load import Configured, load_request
from crypto_archive.config.preset import Preset
from crypto_archive.config.reading import preset_problems
from crypto_archive.config.schema import preset_schema
from crypto_archive.config.settings import Settings
from crypto_archive.config.sources import PresetInfo, list_presets, presets_document
from crypto_archive.config.template import new_preset

__all__ = [
    "Configured",
    "EffectiveField",
    "Preset",
    "PresetInfo",
    "Settings",
    "effective_document",
    "effective_fields",
    "list_presets",
    "load_request",
    "new_preset",
    "preset_problems",
    "preset_schema",
    "presets_document",
]
