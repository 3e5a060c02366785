"""The backbone goes through the kit as a random BERT of two layers."""

from scarce.testing import components

test_conformance = components("scarce-tldr")
