"""Everything on the user's disk: the root and its lock, the manifest, presence, proof, quarantine, cached listings."""
