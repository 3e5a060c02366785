"""Imports what is not there."""

from kit_wrongs_absent import Score  # noqa: F401
