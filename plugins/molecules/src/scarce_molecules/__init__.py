"""Molecules for scarce."""
