"""The table of roles and entry-point groups: adding a role is one line here plus its spec."""

from __future__ import annotations

from dataclasses import dataclass

API = (1, 0)
"""Version of the hook contract: a plugin's major must be equal, its minor may be older."""

MANIFESTS = "scarce.plugins"
"""Entry-point group of the manifests, one per distribution."""


@dataclass(frozen=True)
class Role:
    """One kind of thing a distribution may offer.

    group: its entry-point group; spec: "module:Class" of the hook spec, empty for what is no role; many: whether a
    recipe may name several; hooks: names of the spec's hooks; declared: whether the manifest must describe it.
    """

    name: str
    group: str
    spec: str = ""
    many: bool = True
    hooks: tuple[str, ...] = ()
    declared: bool = False


def _role(name: str, group: str, spec: str, cardinality: str, *verbs: str) -> Role:
    hooks = tuple(f"{name}_{verb}" for verb in verbs)
    return Role(name, f"scarce.{group}", f"scarce.contract.specs:{spec}", cardinality == "many", hooks, declared=True)


EVENTS = ("run_started", "step_finished", "checkpoint_saved", "samples_ready", "round_finished", "run_finished", "run_failed")

ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        _role("modality", "modalities", "ModalitySpec", "one", "load", "codec", "caption", "write", "draw", "baselines"),
        _role("backbone", "backbones", "BackboneSpec", "one", "build"),
        _role("conditioner", "conditioners", "ConditionerSpec", "many", "build"),
        _role("strategy", "strategies", "StrategySpec", "many", "amend_plan", "adapt", "term", "update", "measure"),
        _role("acquisition", "acquisitions", "AcquisitionSpec", "many", "score"),
        _role("learner", "learners", "LearnerSpec", "one", "build"),
        _role("evaluator", "evaluators", "EvaluatorSpec", "many", "measure", "draw"),
        Role("lifecycle", "scarce.lifecycle", "scarce.contract.specs:LifecycleSpec", hooks=EVENTS),
        Role("dataset", "scarce.datasets"),
        Role("generator", "scarce.generators", many=False),
        Role("recipe", "scarce.recipes", many=False),
        Role("executor", "scarce.executors", many=False),
        Role("exporter", "scarce.exporters"),
        Role("command", "scarce.commands"),
    )
}

GROUPS: dict[str, Role] = {role.group: role for role in ROLES.values()}
"""Entry-point group -> role."""
