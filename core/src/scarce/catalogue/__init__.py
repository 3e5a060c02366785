"""What exists: roles, manifests, installed components and capabilities, without importing any plugin."""

from scarce.catalogue.capabilities import check, missing
from scarce.catalogue.catalogue import Catalogue, Row, read_catalogue
from scarce.catalogue.glossary import GLOSSARY
from scarce.catalogue.manifest import Malformed, resource
from scarce.catalogue.roles import API, EVENTS, ROLES, Role

__all__ = ["API", "EVENTS", "GLOSSARY", "ROLES", "Catalogue", "Malformed", "Role", "Row", "check", "missing", "read_catalogue", "resource"]
