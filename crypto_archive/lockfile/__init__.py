"""Lock files: the exact objects of a plan as sorted text, so that a backtest's inputs can be pinned in git."""
