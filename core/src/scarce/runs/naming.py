"""What a generator hears of each class: prompts by one template, and the refusal of classes that it can't tell apart."""

from __future__ import annotations

from collections.abc import Sequence

from scarce.contract.condition import Prompt
from scarce.contract.dataset import Dataset
from scarce.contract.plan import Plan
from scarce.errors import DataError
from scarce.runs.model import Model
from scarce.runs.sections import Recipe


def class_prompts(recipe: Recipe, dataset: Dataset) -> list[Prompt]:
    """The prompt of each class, classes in order, then the template without a class."""
    template = recipe.generate.prompt
    return [*(Prompt(label=v, text=template.format(v)) for v in dataset.classes), Prompt(text=template.format(""))]


def routed(plan: Plan) -> bool:
    """Whether classes are answered by weights of their own, whatever their prompts say."""
    return any(leaf.serves != "*" for leaf in plan.leaves())


def check_classes(model: Model, recipe: Recipe, dataset: Dataset) -> None:
    """Refuse, before anything is trained, classes whose prompts no training can tell apart; raises DataError."""
    if recipe.generate.pool != "classic" and not routed(model.plan):
        *inputs, _ = model.conditions.prepare(class_prompts(recipe, dataset))
        refuse_alike(recipe, dataset, [b"".join(x[i].numpy().tobytes() for x in inputs) for i in range(len(dataset.classes) + 1)])


def refuse_alike(recipe: Recipe, dataset: Dataset, said: Sequence[bytes], apart: bool = False) -> None:
    """Raise DataError for a class of which the generator hears what it hears of no class, or of another unless they are `apart`.

    said: what it hears, of each class and then of none.
    """
    template, nothing = recipe.generate.prompt, said[len(dataset.classes) :]
    for i, label in enumerate(dataset.classes):
        same = "" if apart or said[i] not in said[:i] else f"the same as that of class '{dataset.classes[said.index(said[i])]}'"
        same = "no more than the template alone" if said[i] in nothing else same
        if same:
            what = f"the prompt '{template.format(label)}' of class '{label}' tells the generator {same}"
            raise DataError(what, hint="--set 'generate.prompt=a {}', or rename the classes to words that the generator knows")
