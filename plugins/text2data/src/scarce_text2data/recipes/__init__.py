"""Recipes of this distribution."""
