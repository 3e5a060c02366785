"""The executor goes through the kit."""

from scarce.testing import components

test_conformance = components("scarce-ray")
