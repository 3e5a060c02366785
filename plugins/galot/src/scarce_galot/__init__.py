"""Generative active learning, for scarce."""
