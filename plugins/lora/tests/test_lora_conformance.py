"""Strategy and exporter go through the kit."""

from scarce.testing import components

test_conformance = components("scarce-lora")
