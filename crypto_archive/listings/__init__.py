"""What the bucket lists: asked for once, remembered for a while, read back in the order of the keys."""
