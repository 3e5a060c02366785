"""Recipes of motion, as TOML files."""
