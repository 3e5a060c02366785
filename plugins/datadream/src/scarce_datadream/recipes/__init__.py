"""Recipes of DataDream, as TOML files."""
