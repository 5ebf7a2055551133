"""A verb per file: plan, collect, verify, coverage, symbols, relayout, prune, doctor; and what they report."""
