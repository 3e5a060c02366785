"""Adapters of real peft models: read, their outputs are those that peft gives; what can't be expressed is refused by name."""

import peft
import pytest
import torch
from torch import nn

from scarce.contract import AdaptContext, Phase, Plan, PlanContext
from scarce.errors import RunError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_lora.config import Lora as LoraOptions
from scarce_lora.layers import linear_layers
from scarce_lora.source import read_source
from scarce_lora.strategy import Lora

X = torch.randn(30, 6, generator=torch.Generator().manual_seed(5))
ALL = ["0.0", "0.2", "0.4"]


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Sequential(nn.Linear(6, 16), nn.SiLU(), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 3)), nn.LayerNorm(3))


def theirs(folder, module=None, **options):
    """Outputs of a peft model whose A and B are random, and its folder."""
    made = peft.get_peft_model(module or network(), peft.LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": ALL} | options)).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "lora_" in name and "magnitude" not in name:
                weight.copy_(torch.randn(weight.shape, generator=generator))
        out = made(X)
    made.save_pretrained(str(folder))
    return out


def plan_of(module, heard, **options):
    strategy = Lora(LoraOptions(**options))
    targets = {"backbone": module} if isinstance(module, nn.Module) else module
    ctx = PlanContext(
        plan=Plan(phases=(Phase(name="train", trainable=tuple(targets)),)), path="strategy.0", n_rows=4, n_labelled=4, classes=(),
        targets=tuple(targets), per_class={}, modules=targets, say=heard.append,
    )  # fmt: skip
    return strategy, strategy.strategy_amend_plan(ctx).phases[0].adapters


def ours(folder, module, heard):
    """Outputs of the bare module under the adapter that the strategy makes of a folder."""
    strategy, (adapter,) = plan_of(module, heard, source=f"path:{folder}")
    generator = torch.Generator().manual_seed(0)
    runtime = SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))
    strategy.strategy_adapt(AdaptContext(adapter=adapter, module=module, generator=generator, runtime=runtime)).enable(True)
    with torch.no_grad():
        return module(X)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"alpha_pattern": {"0.2": 1, "4": 20}},
        {"rank_pattern": {"0.0": 2, "0.4": 7}},
        {"use_rslora": True, "rank_pattern": {"0.2": 1}, "alpha_pattern": {"0.0": 3}},
        {"init_lora_weights": "gaussian", "lora_dropout": 0.3, "target_modules": ["0.2"]},
    ],
)
def test_outputs_are_those_of_peft_whatever_its_scales_and_ranks(tmp_path, options):
    heard = []
    expected = theirs(tmp_path, **options)
    found = ours(tmp_path, network(), heard)
    assert (found - expected).abs().max() < 1e-5
    with torch.no_grad():
        assert (expected - network()(X)).abs().max() > 0.1
    n = len(options.get("target_modules", ALL))
    assert heard == [f"{n} of {n} layers of {tmp_path} are read"]


def test_an_adapter_of_a_part_stands_where_the_part_stands(tmp_path):
    module = network()
    expected = theirs(tmp_path, module=network()[0], target_modules=["0", "4"], r=2)
    with torch.no_grad():
        assert (ours(tmp_path, module, []) - module[1](expected)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"use_dora": True}, "use_dora = True"),
        ({"bias": "lora_only"}, "bias = 'lora_only'"),
        ({"lora_bias": True}, "lora_bias = True"),
        ({"modules_to_save": ["1"]}, "modules_to_save = "),
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa' has changed the weights under"),
    ],
)
def test_what_low_rank_updates_cannot_express_is_named(tmp_path, options, said):
    theirs(tmp_path, **options)
    with pytest.raises(RunError, match=said) as error:
        plan_of(network(), [], source=str(tmp_path))
    assert error.value.hint


def test_an_option_of_a_later_version_is_not_passed_over(tmp_path):
    theirs(tmp_path)
    file = tmp_path / "adapter_config.json"
    file.write_text(file.read_text().replace("{", '{"use_something": true, "other": null,', 1))
    with pytest.raises(RunError, match="use_something = True"):
        read_source(tmp_path, ALL)


def test_layers_that_stand_on_no_target_are_said(tmp_path):
    both = nn.ModuleDict({"unet": network(), "text": network(1)})
    config = peft.LoraConfig(r=2, target_modules=[f"{part}.{name}" for part in both for name in ALL])
    peft.get_peft_model(both, config).save_pretrained(str(tmp_path))
    unet, text = nn.ModuleDict({"unet": network()}), nn.ModuleDict({"text": network()})
    heard = []
    plan_of(unet, heard, source=str(tmp_path))
    assert heard.pop() == f"3 of 6 layers of {tmp_path} are read; not: text.0.0, text.0.2, text.0.4"
    plan_of({"backbone": unet, "conditioner.0": text}, heard, source=str(tmp_path), targets=("backbone", "conditioner.0"))
    assert heard.pop() == f"6 of 6 layers of {tmp_path} are read"
    with pytest.raises(RunError, match=r"has nothing for these layers; it holds base_model\.model\.text"):
        plan_of(nn.ModuleDict({"other": nn.Linear(6, 6)}), heard, source=str(tmp_path))
    assert list(linear_layers(unet)) == ["unet.0.0", "unet.0.2", "unet.0.4"]
