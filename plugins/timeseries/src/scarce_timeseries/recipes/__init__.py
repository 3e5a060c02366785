"""Recipes of time series, as TOML files."""
