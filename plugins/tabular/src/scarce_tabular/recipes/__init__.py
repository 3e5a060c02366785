"""Recipes of tables, as TOML files."""
