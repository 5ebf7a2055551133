"""The jobs, a page each: they join the parts of the house. The long ones yield events and return a report."""
