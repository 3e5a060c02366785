"""The conformance kit for authors of plugins: is a component what its manifest says?

One line in a plugin's own test file, `test_conformance = components("acme-scores")`, makes a pytest case of every component.
"""

from scarce.testing.bench import Data
from scarce.testing.kit import check_component
from scarce.testing.parametrize import Case, components
from scarce.testing.report import Outcome, Report

__all__ = ["Case", "Data", "Outcome", "Report", "check_component", "components"]
