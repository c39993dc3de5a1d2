"""Configs: written and read back, overridden, and complained about in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from trimtab.config.base import dump_yaml, override, parse_yaml, read_yaml, validate
from trimtab.config.learner import LearnerServerConfig
from trimtab.config.load import load_server_config
from trimtab.config.objective import PRESETS, ObjectiveConfig
from trimtab.config.reward import RewardServerConfig
from trimtab.config.rollout import RolloutServerConfig
from trimtab.config.run import RunConfig
from trimtab.errors import ConfigError

CONFIGS = sorted(Path("configs").glob("*.yaml"))
FULL: dict[str, Any] = {
    "name": "team/first",
    "seed": 4,
    "data": {
        "train": {"path": "rows.parquet", "prompt_field": "q", "shuffle": False},
        "eval": {"held": {"generator": "arithmetic", "split": "heldout", "count": 8}},
    },
    "rollout": {
        "targets": ["a:1", "dns:///b:2"],
        "sampling": {"stop": ["\N{SNOWMAN}", "\n"]},
        "tls": {"ca_file": "ca.pem"},
    },
    "rewards": {
        "on_item_failure": "incorrect",
        "math": {"weight": 0.75, "target": "c:3"},
        "style": {"weight": -0.25},
    },
    "objective": {"preset": "steer_code_linear", "loss": {"eps_high": 0.3}},
    "train": {"steps": 3, "optimizer": {"lr": 1e-7, "betas": [0.8, 0.9]}},
    "serve": {"reward": {"verifiers": {"strict": {"type": "numeric", "extract": "last_box"}}}},
}


def run_config(values: dict[str, Any]) -> RunConfig:
    return validate(RunConfig, values, source="test")


def refusal(values: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        run_config(values)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("values", [{}, FULL, *(read_yaml(path) for path in CONFIGS)])
def test_a_dump_reads_back_to_the_same(values: dict[str, Any]) -> None:
    config = run_config(values)
    dumped = dump_yaml(config)
    again = run_config(parse_yaml(dumped, source="dump"))
    assert again == config
    assert again.rewards.verifiers == config.rewards.verifiers
    assert dump_yaml(again) == dumped


@pytest.mark.parametrize("model", [RolloutServerConfig, RewardServerConfig, LearnerServerConfig])
def test_a_server_dump_reads_back_to_the_same(
    model: type[RolloutServerConfig], tmp_path: Path
) -> None:
    config = model()
    path = tmp_path / "server.yaml"
    path.write_text(dump_yaml(config))
    assert load_server_config(model, "any", path, []) == config


def test_the_order_of_verifiers_is_that_of_the_file() -> None:
    for names in (["b", "a", "c"], ["c", "b", "a"]):
        values: dict[str, Any] = {"rewards": {name: {} for name in names}}
        again = run_config(yaml.safe_load(dump_yaml(run_config(values))))
        assert list(again.rewards.verifiers) == names


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_sets_its_values(preset: str) -> None:
    objective = ObjectiveConfig.model_validate({"preset": preset})
    for part, values in PRESETS[preset].items():
        section = getattr(objective, part)
        assert {key: getattr(section, key) for key in values} == dict(values)


def test_values_beside_a_preset_win() -> None:
    objective = ObjectiveConfig.model_validate(
        {
            "preset": "steer_paper",
            "loss": {"eps_high": 0.5},
            "token_weight": {"lambda_min": 0.9},
        }
    )
    assert objective.loss.eps_high == 0.5
    assert objective.loss.dual_clip == 10.0
    assert objective.token_weight is not None
    assert objective.token_weight.lambda_min == 0.9
    assert objective.token_weight.omega_form == "theorem"
    without = ObjectiveConfig.model_validate({"preset": "steer_paper", "token_weight": None})
    assert without.token_weight is None
    assert ObjectiveConfig.model_validate({"preset": "steer_paper"}) != objective


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"train": {"stepps": 3}}, "train.stepps", "unknown key"),
        ({"trian": {}}, "trian", "unknown key"),
        ({"train": {"steps": "many"}}, "train.steps", "(given: 'many')"),
        ({"train": {"steps": -1}}, "train.steps", "(given: -1)"),
        ({"train": 3}, "train", "(given: 3)"),
        ({"rewards": {"math": {"weight": "heavy"}}}, "rewards.math.weight", "(given: 'heavy')"),
        ({"rewards": {"math": {"wieght": 1}}}, "rewards.math.wieght", "unknown key"),
        ({"rewards": {"math": {"weight": float("nan")}}}, "rewards.math.weight", "finite"),
        ({"rewards": {"math": {"timeout_s": float("inf")}}}, "rewards.math.timeout_s", "finite"),
        ({"rewards": {}}, "rewards", "at least one verifier"),
        ({"rollout": {"targets": []}}, "rollout", "at least one target"),
        ({"rollout": {"sampling": {"top_p": 0.9}}}, "", "would be biased"),
        ({"rollout": {"sampling": {"temperature": 0}}}, "", "above 0"),
        ({"objective": {"preset": "steer"}}, "objective.preset", "'steer_paper'"),
        ({"data": {"train": {}}}, "data.train", "`path` or `generator`"),
        (
            {"data": {"eval": {"a/../b": {"generator": "arithmetic"}}}},
            "data.eval.a/../b",
            "'a/../b'",
        ),
        ({"data": {"eval": {"": {"generator": "arithmetic"}}}}, "data.eval.", "''"),
        ({"objective": {"loss": {"agg": "seq-mean-token-sum-norm"}}}, "objective.loss", "norm_len"),
        ({"train": {"max_staleness": 1}}, "train.max_staleness", "(given: 1)"),
        ({1: 2}, "1", ""),
    ],
)
def test_what_does_not_hold_is_named(values: dict[str, Any], field: str, words: str) -> None:
    error = refusal(values)
    assert error.field == field
    assert str(error).startswith(f"test: {field}: " if field else "test: ")
    assert words in str(error)


def test_an_unknown_key_comes_before_what_follows_from_it() -> None:
    error = refusal({"train": {"steps": -1, "bacth": 2}, "seed": "x"})
    assert error.field == "train.bacth"
    assert str(error).endswith("[and 2 more]")


def test_a_verifiers_field_is_named_without_its_type() -> None:
    values = {"verifiers": {"strict": {"type": "math", "box": "always"}}}
    with pytest.raises(ConfigError, match=r"^file: verifiers\.strict\.box: "):
        validate(RewardServerConfig, values, source="file")


def test_a_missing_field_is_required() -> None:
    with pytest.raises(ConfigError, match=r"^file: tls\.key_file: is required$"):
        validate(RewardServerConfig, {"tls": {"cert_file": "c.pem"}}, source="file")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not YAML: line 1: "),
        ("a: 1\nb: [\n", "not YAML: line 3: "),
        ("a: 2024-13-45", "not YAML: "),
        ("a: " + "9" * 5000, "not YAML: "),
        ("[" * 5000, "not YAML: "),
        ("a: \0", "not YAML: "),
        ("a: {b: 1,\n b: 2}", "not YAML: line 2: key 'b' comes twice"),
        ("- 1", "must hold `key: value` lines, not a list"),
        ("word", "must hold `key: value` lines, not a str"),
    ],
)
def test_text_that_is_no_mapping_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, source="here")
    assert str(caught.value).startswith(f"here: {words}")
    assert "\n" not in str(caught.value)


def test_nothing_is_an_empty_mapping() -> None:
    assert parse_yaml("", source="here") == parse_yaml("# only words\n", source="here") == {}


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    strange = tmp_path / "strange.yaml"
    strange.write_bytes(b"a: \xff")
    for path in (tmp_path / "none.yaml", tmp_path, strange):
        with pytest.raises(ConfigError, match=f"^{path}: "):
            read_yaml(path)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("a.b=2", {"a": {"b": 2, "c": 1}, "n": None}),
        ("a.d=x=y", {"a": {"b": 1, "c": 1, "d": "x=y"}, "n": None}),
        ("a={b: 3}", {"a": {"b": 3}, "n": None}),
        ("a=", {"a": None, "n": None}),
        ("n.x.y=[1, 2]", {"a": {"b": 1, "c": 1}, "n": {"x": {"y": [1, 2]}}}),
        ("new='007'", {"a": {"b": 1, "c": 1}, "n": None, "new": "007"}),
    ],
)
def test_override_sets_one_value(assignment: str, expected: dict[str, Any]) -> None:
    values = {"a": {"b": 1, "c": 1}, "n": None}
    assert override(values, [assignment]) == expected
    assert values == {"a": {"b": 1, "c": 1}, "n": None}


def test_later_assignments_win() -> None:
    assert override({}, ["a.b=1", "a.b=2", "a.c=3"]) == {"a": {"b": 2, "c": 3}}


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("a", "'a' is not key=value"),
        ("=1", "'=1' is not key=value"),
        ("a.b=1", "a: cannot set a.b: it is not a mapping"),
        ("c=[1", "c: '[1' is not YAML"),
        ("c=2024-13-45", "c: '2024-13-45' is not YAML"),
    ],
)
def test_override_says_what_cannot_be_set(assignment: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override({"a": 3}, [assignment])
    assert str(caught.value) == f"command line: {words}"


def test_numbers_with_an_exponent_are_numbers() -> None:
    assert run_config(override({}, ["train.optimizer.lr=1e-6"])).train.optimizer.lr == 1e-6


def test_a_servers_part_of_a_run_config_counts(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"seed": 1, "serve": {"reward": {"workers": 3}}}))
    reward = load_server_config(RewardServerConfig, "reward", path, ["item_deadline_s=2"])
    assert (reward.workers, reward.item_deadline_s) == (3, 2.0)
    learner = load_server_config(LearnerServerConfig, "learner", path, [])
    assert learner == LearnerServerConfig()


@pytest.mark.parametrize("serve", [None, {}, {"reward": None}])
def test_an_empty_part_is_all_defaults(tmp_path: Path, serve: object) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"serve": serve}))
    assert load_server_config(RolloutServerConfig, "rollout", path, []) == RolloutServerConfig()


@pytest.mark.parametrize("serve", [3, ["x"], {"reward": 3}])
def test_a_part_that_is_no_mapping_is_named(tmp_path: Path, serve: object) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"serve": serve}))
    with pytest.raises(ConfigError, match=r"serve\.reward: must be a mapping$"):
        load_server_config(RewardServerConfig, "reward", path, [])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"routes": {"style": {}}}, "routes.style.target is required"),
        ({"routes": {"math": {"target": "a:1"}}}, "'math' is named in `verifiers` and in `routes`"),
        ({"verifiers": {}}, "no verifier is configured"),
    ],
)
def test_verifiers_and_routes_must_fit(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(RewardServerConfig, values, source="file")
    assert words in str(caught.value)
