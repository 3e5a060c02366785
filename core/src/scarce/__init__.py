"""scarce: make data where there is little of it."""
