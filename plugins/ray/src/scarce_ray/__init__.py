"""Pieces of a run on a Ray cluster, for scarce."""
