"""Files of molecules as people have them, and what is said of what is left out."""

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from scarce.contract import LoadContext, WriteContext
from scarce.errors import DataError
from scarce_molecules.config import Molecules
from scarce_molecules.load import load_molecules
from scarce_molecules.modality import Molecules as Modality
from scarce_molecules.raw import OWN

GOOD = ["CCO", "CCN", "c1ccccc1O", "CC(=O)O", "CCCl", "CCC#N", "CC(C)F", "OCCO", "CNC", "CCS", "C=CC", "CC=O"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path_factory.getbasetemp() / "molecules"))


def load(source, target=None, **options):
    return load_molecules(LoadContext(source=source, target=target, seed=0), Molecules(**options))


def test_a_smiles_table_with_unreadable_lines_keeps_the_rest(tmp_path):
    path = tmp_path / "some.csv"
    pd.DataFrame({"who": range(14), "Structure": [*GOOD[:3], "C1CC", *GOOD[3:], ""], "size": np.arange(14.0)}).to_csv(path, index=False)
    with pytest.raises(DataError, match="2 of 14 molecules can't be read: line 5, 15"):
        load(path)
    found = load(path, max_unreadable=0.2)
    assert len(found) == 12
    assert "line 5, 15; they are left out" in " ".join(found.notes)
    assert list(found.records.columns) == ["smiles", "atoms", "charges", "xyz", "who", "size"]
    assert found.records["size"].tolist() == [0, 1, 2, *range(4, 13)]
    assert all(
        np.abs(xyz.mean(0)).max() < 1e-9 and xyz.shape == (len(a), 3)
        for xyz, a in zip(found.records["xyz"], found.records["atoms"], strict=True)
    )


def test_a_column_is_found_by_its_texts_or_by_name(tmp_path):
    frame = pd.DataFrame({"label": ["x"] * 12, "stuff": GOOD})
    assert load(frame).records["smiles"].tolist()[0] == "CCO"
    with pytest.raises(DataError, match="no column 'smilez'"):
        load(frame.rename(columns={"stuff": "smiles"}), smiles="smilez")
    with pytest.raises(DataError, match="no column of SMILES"):
        load(pd.DataFrame({"a": [1, 2]}))


def test_fragments_elements_and_sizes_are_counted():
    texts = [*GOOD, "CCO.Cl", "[Na+].CC(=O)[O-]", "C[Si](C)(C)C", "C" * 30]
    found = load(pd.DataFrame({"smiles": texts}), largest=20)
    notes = " ".join(found.notes)
    assert "of 2 molecules of several fragments only the largest is kept" in notes
    assert "1 molecules with Si are left out" in notes
    assert "1 molecules of more than 20 heavy atoms are left out" in notes
    assert found.records["smiles"].tolist()[-2:] == ["CCO", "CC(=O)[O-]"]
    assert found.ids[-2] == f"{found.ids[0]}-1"
    assert found.groups[-2] == found.groups[0]
    with pytest.raises(DataError, match="no molecule that can be used"):
        load(pd.DataFrame({"smiles": ["[Na]", "[Si]"]}))


def test_conformers_that_fail_are_counted(monkeypatch):
    from scarce_molecules import conformers as module

    usual = module.conformer
    monkeypatch.setattr(module, "conformer", lambda text, kind, seed: None if text == "CCN" else usual(text, kind, seed))
    monkeypatch.setenv("SCARCE_CACHE", "")
    monkeypatch.setattr(module, "write_bytes", lambda path, data: path)
    found = load(pd.DataFrame({"smiles": GOOD}), seed=5)
    assert len(found) == 11
    assert "1 molecules have no conformer and are left out" in found.notes


def test_an_sdf_keeps_its_coordinates_and_says_what_is_missing(tmp_path):
    path = tmp_path / "some.sdf"
    writer = Chem.SDWriter(str(path))
    for i, text in enumerate(GOOD):
        mol = Chem.AddHs(Chem.MolFromSmiles(text))
        AllChem.EmbedMolecule(mol, randomSeed=1)
        if i != 2:
            mol.SetProp("solubility", str(i / 2))
        writer.write(mol)
    writer.close()
    found = load(path, target="solubility")
    assert "property 'solubility' is missing in 1 of 12 molecules" in found.notes
    assert found.classes == ("low", "medium", "high")
    assert found.labelled.sum() == 11
    assert not any("conformers" in note for note in found.notes)
    mol = next(iter(Chem.SDMolSupplier(str(path))))
    ours, theirs = found.records["xyz"].iloc[0], mol.GetConformer().GetPositions()
    assert np.allclose(np.linalg.norm(ours[0] - ours[2]), np.linalg.norm(theirs[0] - theirs[2]), atol=1e-3)


def test_xyz_frames_are_read_by_distances(tmp_path):
    made = load(pd.DataFrame({"smiles": GOOD}))
    path = Modality(Molecules()).modality_write(WriteContext(records=made.records, path=tmp_path / "some.xyz"))
    back = load(path)
    assert back.records["smiles"].tolist() == made.records["smiles"].tolist()
    (tmp_path / "wrong.xyz").write_text("3\nwater\nO 0 0 0\nH 0 0\n")
    with pytest.raises(DataError, match="line 1: no frame"):
        load(tmp_path / "wrong.xyz")


@pytest.mark.parametrize("suffix", [".parquet", ".sdf", ".csv", ".smi"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    made = load(pd.DataFrame({"smiles": GOOD, "kind": ["a", "b"] * 6}), target="kind")
    lost = made.records.copy()
    lost.loc[3, "smiles"] = None
    path = Modality(Molecules()).modality_write(WriteContext(records=lost, path=tmp_path / f"out{suffix}"))
    back = load(path, target="kind" if suffix != ".smi" else None, max_unreadable=0.2)
    kept = [s for i, s in enumerate(made.records["smiles"]) if i != 3 or suffix == ".parquet"]
    assert back.records["smiles"].tolist() == kept
    if suffix == ".parquet":
        assert np.allclose(back.records["xyz"].iloc[0], made.records["xyz"].iloc[0])
    if suffix == ".sdf":
        assert np.allclose(back.records["xyz"].iloc[0], made.records["xyz"].iloc[0], atol=1e-3)
    with pytest.raises(DataError, match="molecules are written as"):
        Modality(Molecules()).modality_write(WriteContext(records=lost, path=tmp_path / "out.png"))


def test_targets_are_classes_bins_or_measured():
    frame = pd.DataFrame({"smiles": GOOD, "count": [float(i % 3) for i in range(12)], "made": np.linspace(0, 1, 12)})
    assert load(frame, target="count").classes == (0, 1, 2)
    binned = load(frame, target="made", bins=2)
    assert (binned.task, binned.classes) == ("classification", ("low", "high"))
    assert any("'made' is cut into low, high at 0.5" in note for note in binned.notes)
    measured = load(frame, target="logp")
    assert measured.task == "regression"
    assert np.isfinite(measured.target).all()
    for target, said in (("nothing", "no column 'nothing'"), (OWN[3], "can't be called")):
        with pytest.raises(DataError, match=said):
            load(frame, target=target)


def test_conformers_are_kept_and_always_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))
    first = load(pd.DataFrame({"smiles": GOOD}))
    kept = list((tmp_path / "molecules").rglob("conformers-*.parquet"))
    assert len(kept) == 1
    again = load(pd.DataFrame({"smiles": GOOD}))
    assert all(np.array_equal(a, b) for a, b in zip(first.records["xyz"], again.records["xyz"], strict=True))
    kept[0].unlink()
    anew = load(pd.DataFrame({"smiles": GOOD}))
    assert all(np.allclose(a, b) for a, b in zip(first.records["xyz"], anew.records["xyz"], strict=True))
    assert first.ids.tolist() == anew.ids.tolist()
