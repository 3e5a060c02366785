"""Loading: every form people have texts in, encodings, markup, empty and very long ones, splits that are kept, and leaks that are said."""

import json

import numpy as np
import pandas as pd
import pytest

from scarce.contract import DrawContext, LoadContext, WriteContext, take
from scarce.errors import DataError
from scarce_text import config
from scarce_text.clean import body_of, without_markup
from scarce_text.modality import Text

GOOD = ("fine tea", "warm bread", "great soup", "a lovely pie", "fresh fish", "sweet plums")
BAD = ("stale tea", "cold bread", "thin soup", "a soggy pie", "old fish", "sour plums")


def table():
    rows = [(t, "good") for t in GOOD] + [(t, "bad") for t in BAD]
    return pd.DataFrame(rows, columns=["review", "label"])


def load(source, target=None, group=None, seed=0, **options):
    return Text(config.Text(**options)).modality_load(LoadContext(source=source, target=target, seed=seed, group=group))


def said(data, *words):
    """The notes in which all of the words stand."""
    return [note for note in data.notes if all(w in note for w in words)]


def test_every_form_gives_the_same_records(tmp_path):
    frame = table()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "semicolons.csv", index=False, sep=";")
    frame.to_csv(tmp_path / "b.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "c.parquet")
    frame.to_json(tmp_path / "d.jsonl", orient="records", lines=True)
    wanted = load(frame)
    assert wanted.records.columns.tolist() == ["text", "label"]
    assert (wanted.classes, wanted.task, wanted.target_name) == (("bad", "good"), "classification", "label")
    assert len(set(wanted.groups)) == 12
    for name in ("a.csv", "semicolons.csv", "b.tsv", "c.parquet", "d.jsonl"):
        found = load(tmp_path / name)
        assert found.ids.tolist() == wanted.ids.tolist(), name
        assert found.records.equals(wanted.records), name


@pytest.mark.parametrize("official", [False, True])
def test_a_folder_has_a_sub_folder_per_class(tmp_path, official):
    for i, (text, label) in enumerate(table().itertuples(index=False)):
        home = tmp_path / ("test" if i % 3 == 0 else "train") / label if official else tmp_path / label
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{i}.txt").write_text(text)
    (tmp_path / ("train/unsup" if official else "unlabelled")).mkdir(parents=True)
    (tmp_path / ("train/unsup" if official else "unlabelled") / "x.txt").write_text("perhaps")
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    if official:
        with pytest.raises(DataError, match="too small to set a tenth"):
            load(tmp_path)
        return
    data = load(tmp_path)
    assert data.classes == ("bad", "good")
    assert "good/0.txt" in data.ids
    assert data.labelled.sum() == 12
    assert said(data, "1 of 13 texts have no class")
    assert said(data, "no texts", "1 .pdf")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_encodings_are_found_out(tmp_path, encoding):
    frame = table()
    frame.loc[0, "review"] = "café crème “très” bon" if encoding not in ("latin-1",) else "café crème très bon"
    path = tmp_path / "x.csv"
    path.write_bytes(frame.to_csv(index=False).encode(encoding))
    data = load(path)
    assert data.records["text"][0] == frame["review"][0]
    assert bool(said(data, "is not UTF-8; it is read as cp1252")) == (encoding in ("latin-1", "cp1252"))


def test_bytes_that_are_no_text_are_refused_with_place_and_remedy(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"review,label\nfine\xff\x00,good\n")
    with pytest.raises(DataError, match="zero bytes") as found:
        load(path)
    assert "byte 0xff at line 2" in found.value.message
    path.write_bytes(table().to_csv(index=False).encode() + b"caf\xe9,good\n")
    with pytest.raises(DataError, match="is not utf-8: byte 0xe9 at line 14"):
        load(path, encoding="utf-8")
    assert load(path, encoding="cp1250").records["text"].iloc[-1] == "café"
    with pytest.raises(DataError, match="no encoding"):
        load(path, encoding="klingon")


def test_tabs_separate_fields_in_which_quotation_marks_are_ordinary(tmp_path):
    path = tmp_path / "x.tsv"
    rows = ['text\tlabel\n"so good\tgood', 'a "fine" tea\tgood', '"quoted, whole"\tbad', "5 o'clock\tbad"]
    path.write_text("\n".join(rows) + "\n")
    assert load(path).records["text"].tolist() == ['"so good', 'a "fine" tea', "quoted, whole", "5 o'clock"]


def test_values_that_look_missing_are_texts_and_whole_numbers_are_classes(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("text,stars,label\nnull,1,NA\nNone,5,NA\nnan,,ok\nfine,5,ok\n")
    assert load(path).classes == ("NA", "ok")
    data = load(path, target="stars")
    assert data.classes == (1, 5)
    assert data.labelled.tolist() == [True, True, False, True]
    assert data.records["text"].tolist() == ["null", "None", "nan", "fine"]


def test_markup_is_stripped_and_what_only_looks_like_it_stays():
    assert without_markup("good<br /><br/>tea <b class='x'>now</b> &amp; then &#39;here&#39;") == "good\n\ntea  now  & then 'here'"
    assert without_markup("<script>alert(1 < 2)</script>a<!-- b -->c") == " a c"
    for plain in ("1 < 2 and 3 > 2", "I <3 you", "x <y and z> w", "AT&T; R&D", "&nbsp"):
        assert without_markup(plain) == plain
    frame = table().assign(review=[f"<p>{t}</p>" for t in table()["review"]])
    data = load(frame)
    assert data.records["text"].tolist() == table()["review"].tolist()
    assert said(data, "12 texts held HTML markup")
    assert load(frame, markup="keep").records["text"][0] == "<p>fine tea</p>"


def test_messages_are_cut_to_their_bodies():
    message = "From: a@b.c\nSubject: Re: tea\n\nJoe writes:\n> old words\n| older\nnew words\n--\nJoe, at home\n"
    assert body_of(message).strip() == "new words"
    assert body_of("Note: this is no header of two\n\nbut text").startswith("Note") is False
    assert body_of("a line\n\nbody") == "a line\n\nbody"
    data = load(pd.DataFrame({"text": [message, "plain words"], "label": ["a", "b"]}), mail=True)
    assert data.records["text"].tolist() == ["new words", "plain words"]
    assert said(data, "1 messages held headers")


def test_empty_texts_are_listed_and_left_out_up_to_a_share():
    frame = table()
    frame.loc[3, "review"] = " <br> \u200a\n"
    data = load(frame)
    assert len(data) == 11
    assert said(data, "1 of 12 texts are empty and are left out: row 4")
    frame.loc[5, "review"] = None
    with pytest.raises(DataError, match="2 of 12 texts are empty: row 4, row 6"):
        load(frame)
    assert len(load(frame, max_empty=0.5)) == 10
    with pytest.raises(DataError, match="12 of 12"):
        load(frame.assign(review=""), max_empty=0.5)


def test_long_texts_are_whole_and_said():
    frame = table()
    frame.loc[0, "review"] = "tea " * 20_000
    data = load(frame)
    assert len(data.records["text"][0].split()) == 20_000
    assert said(data, "1 texts have over 512 words, the longest 20,000")


def test_a_label_in_the_text_is_counted_and_quoted():
    frame = table().assign(label=["very_good"] * 6 + ["bad"] * 6)
    frame.loc[0, "review"] = "what I had before lunch was Very-Good tea, and not bad, from the old shop round the corner"
    frame.loc[7, "review"] = "bad-ish bread"
    frame.loc[8, "review"] = "badly cooked"
    data = load(frame)
    note = said(data, "2 of 12 texts hold the name of their own class, 1 that of another")
    assert "'what I had before lunch was Very-Good tea, and not bad, from the ol…'" in note[0]
    assert not said(load(frame.assign(label=[1] * 6 + [2] * 6)), "own class")
    assert not said(load(table()), "own class")


def test_copies_share_a_group_and_their_classes_are_compared():
    frame = table()
    frame.loc[1, "review"] = "Fine  TEA"
    frame.loc[6, "review"] = "fine tea"
    data = load(frame)
    assert len(set(data.groups[[0, 1, 6]])) == 1
    assert len(set(data.ids)) == 12
    assert said(data, "2 texts are copies of others")
    assert said(data, "1 texts appear under more than one class", "'fine tea'")
    by = load(frame.assign(who=["a", "b", None, "c", "d", "e", "b", "f", "g", "g", "h", "i"]), group="who")
    assert len(set(by.groups[[0, 1, 6]])) == 1
    assert by.groups[8] == by.groups[9]
    assert len(set(by.groups)) == 9


@pytest.mark.parametrize("pair", [False, True])
def test_official_splits_are_kept_and_validation_comes_from_training(tmp_path, pair):
    train = pd.DataFrame({"text": [f"text {i}" for i in range(60)], "label": ["a", "b", "c"] * 20})
    test = pd.DataFrame({"text": [f"test {i}" for i in range(9)] + ["Text 3"], "label": ["a", "b"] * 5})
    if pair:
        train.to_csv(tmp_path / "train.csv", index=False)
        test.to_csv(tmp_path / "test.csv", index=False)
        source, options = tmp_path / "train.csv", {"test": str(tmp_path / "test.csv")}
    else:
        source, options = pd.concat([train.assign(split="Train"), test.assign(split="TEST")]), {}
    data = load(source, **options)
    held = data.rows("validation")
    assert data.records["text"].iloc[data.rows("test")].tolist() == test["text"].tolist()
    assert "split" not in data.records.columns
    assert np.unique(data.target[held], return_counts=True)[1].tolist() == [2, 2, 2]
    assert said(data, "1 texts outside the test part are copies of texts in it")
    assert said(data, "6 of its training texts are for validation")
    assert len(data) == 69
    assert load(source, seed=0, **options).split.tolist() == data.split.tolist()
    other = load(source, seed=1, **options)
    assert set(other.ids[other.rows("validation")]) != set(data.ids[held])
    assert other.ids[other.rows("test")].tolist() == data.ids[data.rows("test")].tolist()


def test_a_validation_part_is_kept_too_and_fewer_test_texts_are_the_same_ones_for_every_seed():
    frame = pd.DataFrame({"text": [f"t {i}" for i in range(90)], "label": ["a", "b"] * 45, "part": ["train", "dev", "test"] * 30})
    data = load(frame, split="part")
    assert [len(data.rows(s)) for s in ("train", "validation", "test")] == [30, 30, 30]
    few = [load(frame, split="part", test_rows=7, seed=s) for s in (0, 1)]
    assert few[0].ids[few[0].rows("test")].tolist() == few[1].ids[few[1].rows("test")].tolist()
    assert len(few[0].rows("test")) == 7
    assert said(few[0], "7 of 30 test texts are used")
    assert (load(frame.rename(columns={"part": "split"}), split="").split == "").all()


@pytest.mark.parametrize(
    ("parts", "why"), [(["train"] * 12, "no test part"), (["test"] * 12, "no train part"), (["train", None] * 6, "row 2 has no split")]
)
def test_half_a_split_is_refused(parts, why):
    with pytest.raises(DataError, match=why):
        load(table().assign(split=parts))


def test_a_column_called_split_that_names_none_is_an_ordinary_one():
    assert "split" in load(table().assign(split=["fifty"] * 12)).records.columns
    with pytest.raises(DataError, match="column 'split' holds fifty"):
        load(table().assign(split=["fifty"] * 12), split="split")


def test_test_texts_without_a_class_can_not_judge():
    frame = pd.DataFrame({"text": [f"t {i}" for i in range(40)], "label": ["a", "b"] * 20, "split": ["train"] * 30 + ["test"] * 10})
    frame.loc[[2, 35], "label"] = None
    data = load(frame)
    assert len(data.rows("test")) == 9
    assert data.labelled.sum() == 38
    assert said(data, "1 test or validation texts without a class")


def test_words_in_one_sentence_share_a_split():
    frame = pd.DataFrame({
        "sentence": ["The cat sat idly.", "The cat sat idly.", "Dogs bark.", "Dogs bark."], "target_word": ["cat", "idly", "Dogs", "run"],
        "complex": [0, 1, 0, 1],
    })  # fmt: skip
    data = load(frame, target="complex", word="target_word")
    assert data.records.columns.tolist() == ["text", "word", "complex"]
    assert len(set(data.groups)) == 2
    assert len(set(data.ids)) == 4
    assert said(data, "4 records share their sentence")
    assert said(data, "1 target words are not in their sentence, such as 'run'")
    with pytest.raises(DataError, match="or name no word"):
        load(frame.assign(target_word=[None, "x", "x", "x"]), target="complex", word="target_word")


@pytest.mark.parametrize(
    ("change", "options", "why"),
    [
        ({"label": "good"}, {}, "has 1 class"),
        ({"label": None}, {"target": "label"}, "has 0 classes"),
        ({}, {"target": "lable"}, "did you mean 'label'"),
        ({}, {"text": "body"}, "no column 'body'"),
        ({}, {"word": "w"}, "no column 'w'"),
        ({}, {"group": "g"}, "no column 'g'"),
        ({}, {"target": "review", "text": "review"}, "can't be the column of texts"),
        ({"label": range(12)}, {}, None),
    ],
)
def test_what_can_not_be_learnt_is_refused(change, options, why):
    frame = table().assign(**change)
    if why is None:
        frame = pd.concat([frame.assign(label=np.arange(12) + 12 * i, review=[f"{t} {i}" for t in frame["review"]]) for i in range(2)])
        why = "24 values in 24 texts, which are no classes"
    with pytest.raises(DataError, match=why):
        load(frame, **options)


def test_texts_without_a_target_are_data_all_the_same():
    data = load(table().drop(columns="label"))
    assert (data.task, data.target, data.classes) == ("none", None, ())
    assert data.labelled.all()


def test_files_of_other_kinds_are_refused(tmp_path):
    for name, content, why in (
        ("a.docx", b"PK", "not '.docx'"), ("a.csv", b" \n", "is empty"), ("a.jsonl", b"{oops", "not a readable JSONL"),
        ("b.csv", b"text,label\n", "has no rows"), ("a.parquet", b"PAR0", "not a readable Parquet"), ("c.csv", b"text,text\na,b\n", None),
        ("d.csv", b"a,b,c\n1,2,3\n", "which column holds the texts"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        if why is not None:
            with pytest.raises(DataError, match=why):
                load(tmp_path / name)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"no \.txt files: it is empty"):
        load(tmp_path / "none")
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="column 'text' appears more than once"):
        load(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


def test_what_was_written_is_read_again(tmp_path):
    frame = table().assign(number=np.arange(12))
    frame.loc[0, "review"] = "“quoted”,\nin two lines\tand a tab"
    data = load(frame)
    for name in ("x.parquet", "x.jsonl"):
        path = Text(config.Text()).modality_write(WriteContext(records=data.records, path=tmp_path / name))
        again = load(path)
        assert again.records["text"].tolist() == data.records["text"].tolist()
        assert again.ids.tolist() == data.ids.tolist()
    assert json.loads((tmp_path / "x.jsonl").read_text().splitlines()[3])["number"] == 3
    with pytest.raises(DataError, match=r"not '\.docx'"):
        Text(config.Text()).modality_write(WriteContext(records=data.records, path=tmp_path / "x.docx"))


def test_a_look_at_texts_runs_nothing_that_stands_in_them(kit):
    frame = table()
    frame.loc[:, "review"] = [f"<i onclick=x>{t}" for t in frame["review"]]
    data = load(frame, markup="keep")
    whole = data.with_(split=np.full(12, "train"))
    ctx = DrawContext(real=whole.records, synthetic=take(whole.records, []), dataset=whole, codec=kit.codec_of(whole), seed=0)
    page, lengths = Text(config.Text()).modality_draw(ctx)
    assert "<i" not in page.html
    assert page.html.count("&lt;i onclick=x&gt;") == 6
    assert lengths.traces[0]["x"] == [len(t.split()) for t in data.records["text"]]
