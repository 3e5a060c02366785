"""Tools over finished runs."""
