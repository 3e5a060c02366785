"""The packaged generator goes through the kit."""

from scarce.testing import components

test_conformance = components("scarce-tiny-t2i")
