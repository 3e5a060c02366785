"""Recipes of images, as TOML files."""
