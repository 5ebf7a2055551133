"""What is to be done and why: selection, availability, decisions, limits, lock files and shards."""
