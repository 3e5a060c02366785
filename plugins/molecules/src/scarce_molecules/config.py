"""Options of the components of molecules; importing this brings neither RDKit nor network code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class Molecules(Options):
    """Modality `molecules`: where structures are in a file, which of them are kept, and what captions speak of.

    smiles: column of SMILES; caption: column of texts for the caption style "user". elements: others are left out. largest: most
    heavy atoms. most: records, a fixed random part of a larger file; None for all. conformer: "mmff" relaxes the ETKDG conformer.
    max_unreadable: share of unreadable records above which loading stops. properties: "descriptors" of RDKit, or "quantum" by
    GFN2-xTB. bins: classes that a numeric target is cut into where it can't be measured on a sample; seed: of conformers. divisor: of
    one-hot elements and formal charges, as in EDM.
    """

    smiles: str | None = None
    caption: str | None = None
    elements: tuple[str, ...] = ("C", "N", "O", "F", "S", "Cl", "Br")
    largest: int = Field(24, ge=1, le=64)
    most: int | None = Field(None, ge=12)
    conformer: Literal["etkdg", "mmff"] = "mmff"
    max_unreadable: float = Field(0.1, ge=0, le=1)
    properties: Literal["descriptors", "quantum"] = "descriptors"
    bins: int = Field(3, ge=2, le=5)
    seed: int = Field(0, ge=0)
    divisor: float = Field(4.0, gt=0)


class Egnn(Options):
    """Backbone `egnn`: width and number of layers, radial features of a distance, and which layers look at the condition's tokens."""

    width: int = Field(96, ge=2)
    layers: int = Field(4, ge=1)
    radial: int = Field(32, ge=2)
    heads: int = Field(4, ge=1)
    attention_every: int = Field(2, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class Forest(Options):
    """Learner `forest`: trees of a random forest on Morgan fingerprints, their radius and length, and the fewest molecules of a leaf."""

    trees: int = Field(200, ge=1)
    radius: int = Field(2, ge=0, le=4)
    bits: int = Field(1024, ge=32)
    leaf: int = Field(1, ge=1)


class PropertyScores(Options):
    """Evaluator `property-scores`: no options."""


class Validity(Options):
    """Evaluator `validity`: most molecules per source."""

    rows: int = Field(5000, ge=2)


class ChemNet(Options):
    """Evaluator `chemnet`: most molecules per side."""

    rows: int = Field(1000, ge=10)


class TanimotoPrivacy(Options):
    """Evaluator `tanimoto-privacy`: most molecules per source, and radius and length of the fingerprint."""

    rows: int = Field(1000, ge=10)
    radius: int = Field(2, ge=0, le=4)
    bits: int = Field(2048, ge=32)


class PredictedControl(Options):
    """Evaluator `predicted-control`: most captions that are asked, and trees of the predictor."""

    rows: int = Field(128, ge=2)
    trees: int = Field(200, ge=1)


class AskedMolecules(Options):
    """Evaluator `asked-molecules`: how many captions of test molecules are shown, and molecules drawn for each."""

    captions: int = Field(4, ge=1)
    samples: int = Field(7, ge=1)
