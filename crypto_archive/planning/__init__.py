"""From a wish to a stream of planned objects: selection, calendar, listing, plan, batches, totals."""
