"""What jobs amount to: folds of their events into documents and exit codes, and the figures behind them. No Rich."""
