"""Options beside network code."""

from __future__ import annotations

import sklearn

from scarce.contract.options import Options


class Heavy(Options):
    version: str = sklearn.__version__
