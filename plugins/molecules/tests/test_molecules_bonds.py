"""Bonds from distances alone: real conformers come back, noise is noticed, nonsense is no molecule."""

import numpy as np
import pytest
from rdkit import Chem

from scarce_molecules.bonds import bonded, molecule, stable, valid
from scarce_molecules.conformers import conformer
from scarce_molecules.raw import charges_of, plain_smiles, symbols_of
from scarce_molecules.records import as_row

DRUGS = [
    "CC(=O)Nc1ccc(O)cc1",
    "CC(C)Cc1ccc(C)cc1",
    "CN1CCCC1",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "c1ccc2[nH]ccc2c1",
    "c1ccsc1",
    "O=C(O)c1ccccc1",
    "NS(=O)(=O)c1ccc(Cl)cc1",
    "CS(=O)(=O)C",
    "C#CCO",
    "N#Cc1ccncc1",
    "C1CC1CN",
    "CC(C)(C)O",
    "FC(F)(F)c1ccccc1",
    "Brc1ccccc1",
    "O=C1CCCCC1",
    "C1COCCN1",
    "c1cnc[nH]1",
    "CC=CC",
    "OCC(O)CO",
    "O=[N+]([O-])c1ccccc1",
    "C[N+](C)(C)C",
    "CC(=O)[O-]",
    "CCOC(=O)C",
    "NC(=O)N",
    "c1ccc2ccccc2c1",
    "c1ccoc1",
    "CSC",
    "CCl",
    "COc1ccccc1",
    "NCCc1ccccc1",
    "O=C1NC(=O)CC1",
    "C1=CCCCC1",
    "CN(C)C=O",
    "CC#N",
    "CCN(CC)CC",
    "c1ccc(-c2ccccc2)cc1",
    "Cc1ncccn1",
    "c1nncs1",
    "O=c1cc[nH]cc1",
    "CC(C)=O",
    "OC1CCCCC1",
    "C1CCC2CCCCC2C1",
    "Clc1ccc(Cl)cc1",
]


def again(text, noise=0.0, seed=0):
    """The molecule that the distances of a conformer give back."""
    mol = Chem.MolFromSmiles(text)
    xyz = conformer(text, "mmff", seed)
    xyz = xyz + noise * np.random.default_rng(seed).normal(size=xyz.shape)
    return as_row(symbols_of(mol), charges_of(mol), xyz)[0]


def test_real_conformers_give_back_their_molecules():
    found = {text: again(text) for text in DRUGS}
    same = {text: made == plain_smiles(Chem.MolFromSmiles(text)) for text, made in found.items()}
    good, share = np.mean([valid(made) for made in found.values()]), np.mean(list(same.values()))
    print(f"{len(DRUGS)} conformers: valid {good:.3f}, the same molecule {share:.3f}", [(t, found[t]) for t, ok in same.items() if not ok])
    assert good >= 0.95
    assert share >= 0.9


def test_noise_of_a_tenth_of_an_angstrom_costs_molecules():
    quiet, loud = (np.mean([valid(again(text, noise)) for text in DRUGS]) for noise in (0.02, 0.25))
    assert quiet >= 0.95
    assert loud < quiet - 0.3


@pytest.mark.parametrize(
    ("symbols", "xyz"),
    [
        (["C", "C"], [[0, 0, 0], [0.5, 0, 0]]),  # in each other
        (["F", "C", "C"], [[0, 0, 0], [1.4, 0, 0], [-1.4, 0, 0]]),  # two bonds of a fluorine
        (["C", "Xx"], [[0, 0, 0], [1.5, 0, 0]]),  # no element
        (["C", "C"], [[0, 0, 0], [np.nan, 0, 0]]),
        ([], np.zeros((0, 3))),
    ],
)
def test_what_is_no_molecule_has_none(symbols, xyz):
    assert molecule(symbols, [0] * len(symbols), np.array(xyz, dtype=float).reshape(-1, 3)) is None


def test_two_fragments_are_a_molecule_that_is_not_valid():
    text = as_row(["C", "O", "N"], [0, 0, 0], np.array([[0, 0, 0], [1.42, 0, 0], [6.0, 0, 0]]))[0]
    assert text == "CO.N"
    assert not valid(text)


def test_stability_counts_atoms():
    xyz = np.array([[0, 0, 0], [1.4, 0, 0], [-1.4, 0, 0], [9, 0, 0]], dtype=float)
    assert stable(["F", "C", "C", "C"], [0] * 4, xyz).tolist() == [False, True, True, False]
    assert stable(["O"], [0], np.zeros((1, 3))).tolist() == [True]
    assert bonded(["C", "C", "C"], xyz[:3]) == [(0, 1), (0, 2)]


def test_lengths_choose_the_order():
    for length, text in ((1.52, "CC"), (1.34, "C=C"), (1.20, "C#C")):
        assert as_row(["C", "C"], [0, 0], np.array([[0, 0, 0], [length, 0, 0]]))[0] == text
    for length, text in ((1.43, "CO"), (1.22, "C=O")):
        assert as_row(["C", "O"], [0, 0], np.array([[0, 0, 0], [length, 0, 0]]))[0] == text
