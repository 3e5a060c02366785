"""The core's own components go through the kit."""

from scarce.testing import components

test_conformance = components("scarce")
