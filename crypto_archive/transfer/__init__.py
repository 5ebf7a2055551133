"""Does what the plan says: the engine, its lanes, and the way of an object from staging to its final path."""
