"""Does what the plan says: the engine, its lanes, and the path of an object from staging to its place in the root."""
