"""Config and presets: the spec's constants, parsing, TOML and clear refusals."""

from __future__ import annotations

import dataclasses

import pytest

from pkef_fast.config import toml
from pkef_fast.errors import InputError
from pkef_fast.models.pkef.config import PkefConfig
from pkef_fast.models.pkef.presets import PRESETS, coefficients_of, preset

THREE = ("view", "cart", "buy")
FOUR = ("click", "collect", "cart", "buy")

OFFICIAL = {
    "d": 64,
    "layers": (4, 1, 1),
    "coefficients": (0, 4 / 6, 2 / 6),
    "self_loops": False,
    "normalization": "left",
    "fusion": "projection",
    "fusion_source": "state",
    "fusion_scale": 0.3,
    "projection_level": "side",
    "projection_scale": 0.01,
    "gate": "shared",
    "score_scale": 300,
    "unique_positives": "target_only",
    "unique_excluded": (),
    "loss_scale": 3,
    "loss_reduction": "mean",
    "loss": "bpr",
    "negatives": 1,
    "popular_negatives": 0,
    "batch_negatives": 0,
    "behavior_weights": "fixed",
    "average": 0,
    "regularization": 1e-2,
    "lr": 1e-3,
    "lr_decay": 0.96,
    "lr_decay_steps": 39,
    "epochs": 100,
    "users_per_epoch": 10000,
    "batch_users": 256,
    "samples_per_user": 40,
}
PAPER = {
    "self_loops": True,
    "fusion_source": "message",
    "fusion_scale": 1,
    "projection_level": "interaction",
    "gate": "per_behavior",
    "score_scale": 10,
    "unique_positives": "upstream_only",
}


def test_presets_hold_the_constants_of_the_spec():
    official, paper = preset("official", THREE).as_dict(), preset("paper", THREE).as_dict()
    for name, value in OFFICIAL.items():
        assert official[name] == value, name
        assert paper[name] == PAPER.get(name, value), name


def test_four_behaviours_are_tmalls():
    official, paper = preset("official", FOUR), preset("paper", FOUR)
    for config in (official, paper):
        assert config.layers == (4, 1, 1, 1)
        assert config.coefficients == (0, 4 / 6, 0, 2 / 6)
    assert official.unique_excluded == (2,)
    assert paper.unique_excluded == ()


@pytest.mark.parametrize("count", range(1, 8))
@pytest.mark.parametrize("name", PRESETS)
def test_presets_work_for_any_number_of_behaviours(name, count):
    behaviors = tuple(f"b{k}" for k in range(count))
    config = preset(name, behaviors).checked(behaviors)
    assert sum(config.coefficients) == pytest.approx(1)
    assert coefficients_of(count)[-1] > 0


def test_toml_reads_back_exactly(tmp_path):
    config = preset("paper", FOUR).replaced(layers="3,2,1,1", coefficients="0,1/3,0,2/3", lr=1e-17)
    file = tmp_path / "c.toml"
    file.write_text(
        toml.dump(config, {"data": {"dataset": 'a "b" \\ c', "none": None}}), encoding="utf-8"
    )
    fields, tables = toml.load(file)
    assert PkefConfig().replaced(**fields) == config
    assert tables == {"data": {"dataset": 'a "b" \\ c'}}
    for item in dataclasses.fields(config):
        assert f"# {item.metadata['text'][:30]}" in file.read_text(encoding="utf-8")


def test_values_may_be_typed_as_text():
    config = PkefConfig().replaced(
        layers="4, 1,1", coefficients="0,4/6,0.5", self_loops="yes", epochs="7", lr="1e-2"
    )
    assert config.layers == (4, 1, 1)
    assert config.coefficients == (0, 4 / 6, 0.5)
    assert config.self_loops is True
    assert (config.epochs, config.lr) == (7, 0.01)


def test_behaviours_are_excluded_by_name_or_number():
    for value in ("cart", "2", [2], ("cart",)):
        config = preset("paper", FOUR).replaced(unique_excluded=value).checked(FOUR)
        assert config.unique_excluded == (2,)


BAD = [
    ({"layer": "4"}, "config field 'layer' is unknown; did you mean 'layers'?"),
    ({"fusion": "projecton"}, "'fusion' cannot be 'projecton'; did you mean 'projection'?"),
    ({"layers": "4,1"}, "'layers' has 2 values, 4,1; wanted one for each of the 3 behaviours"),
    ({"coefficients": "1"}, "'coefficients' has 1 values, 1.0; wanted one for each of the 3"),
    ({"coefficients": "0,0,0"}, "'coefficients' is all zeros"),
    ({"coefficients": "0,-1,1"}, "'coefficients' cannot be -1.0; wanted at least 0"),
    ({"layers": "4,1,1.5"}, "'layers' cannot be '1.5'; wanted a whole number"),
    ({"layers": "4,-1,1"}, "'layers' cannot be -1; wanted at least 0"),
    ({"d": "0"}, "'d' cannot be 0; wanted at least 1"),
    ({"epochs": "many"}, "'epochs' cannot be 'many'; wanted a whole number"),
    ({"epochs": True}, "'epochs' cannot be True; wanted a number"),
    ({"lr": "nan"}, "'lr' cannot be nan; wanted a finite number"),
    ({"lr": "inf"}, "'lr' cannot be inf; wanted a finite number"),
    ({"lr": "1/0"}, "'lr' cannot be '1/0'; wanted a number"),
    ({"beta1": "1.5"}, "'beta1' cannot be 1.5; wanted at most 1"),
    ({"self_loops": "maybe"}, "'self_loops' cannot be 'maybe'; wanted true or false"),
    (
        {"popular_negatives": "0.7", "batch_negatives": "0.5"},
        "'popular_negatives' 0.7 and 'batch_negatives' 0.5 are shares of one whole; wanted a sum",
    ),
    ({"popular_negatives": "1.2"}, "'popular_negatives' cannot be 1.2; wanted at most 1"),
    ({"negatives": "0"}, "'negatives' cannot be 0; wanted at least 1"),
    ({"average": "1"}, "'average' cannot be 1; wanted less than 1"),
    ({"loss": "bce"}, "'loss' cannot be 'bce'"),
    ({"behavior_weights": "learnt"}, "'behavior_weights' cannot be 'learnt'; did you mean"),
    ({"unique_excluded": "crat"}, "behaviour 'crat' is unknown; did you mean 'cart'?"),
    (
        {"unique_excluded": "3"},
        "'unique_excluded' cannot be 3; wanted behaviour numbers from 0 to 2",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD, ids=[str(one[0]) for one in BAD])
def test_bad_values_are_refused_in_a_sentence(changes, sentence):
    with pytest.raises(InputError) as error:
        preset("official", THREE).replaced(**changes).checked(THREE)
    assert sentence in str(error.value)


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="preset 'offical' is unknown; did you mean 'official'"):
        preset("offical", THREE)


def test_broken_toml_is_refused(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("d = = 3", encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.toml is not TOML"):
        toml.load(file)
    with pytest.raises(InputError, match="cannot be read"):
        toml.load(tmp_path / "none.toml")
