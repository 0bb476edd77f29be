"""What a user's settings leave to be searched."""

import logging

import optuna
import pytest
from optuna.trial import FixedTrial

from gdns_tf.samplers.nncf import Nncf
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.config import TuneConfig, split_choices
from gdns_tf.tuning.space import OBJECTIVES, SCORERS, Around, Between, Choice, Space
from pipelines.errors import InputError


def searched(settings, choices=None):
    return {name: set(model.ranges) for name, model in Space(settings, choices or {}).models.items()}


@pytest.mark.parametrize(
    ("settings", "models"),
    [
        ({}, ["history-multinomial", "gmf-multinomial", "gmf-pairs", "history-sampled_softmax"]),
        ({"dim": 64, "objective": "multinomial"}, ["history-multinomial", "gmf-multinomial"]),
        ({"scorer": "gmf"}, ["gmf-multinomial", "gmf-pairs", "gmf-sampled_softmax"]),
        ({"user_l2": 1.0}, ["history-multinomial", "gmf-multinomial", "history-sampled_softmax"]),
        ({"sampler": "srns", "memory_size": 128}, ["gmf-pairs", "history-sampled_softmax"]),
        ({"smoothing": 0.1}, ["gmf-pairs", "history-sampled_softmax"]),
        ({"history_dropout": 0.1, "l2": 0.1}, None),
        ({"history_dropout": 0.1}, ["history-multinomial", "history-sampled_softmax"]),
        ({"scorer": "history", "sampler": "uniform"}, ["history-pairs", "history-sampled_softmax"]),
        ({"shared_negatives": True}, ["history-sampled_softmax"]),
    ],
)
def test_models_on_which_a_setting_has_no_effect_are_left_out(settings, models):
    if models is None:
        with pytest.raises(InputError):
            Space(settings, {})
        return
    space = Space(settings, {})
    assert list(space.models) == models
    for model in space.models.values():
        assert not settings.keys() & model.ranges.keys()
        assert model.base.settings() | settings == model.base.settings()


@pytest.mark.parametrize(
    "settings", [{}, {"dim": 8}, {"scorer": "gmf"}, {"l2": 0.1}, {"sampler": "dns"}, {"objective": "pairs"}]
)
def test_the_first_trial_is_what_is_trained_unasked(settings):
    space = Space(settings, {})
    assert space.suggest(FixedTrial(next(space.defaults()))) == TrainConfig.from_settings(**settings)


def test_every_table_entry_is_a_setting_whose_default_lies_within():
    for objective, entry in OBJECTIVES.items():
        for scorer in entry.scorers:
            defaults = TrainConfig.from_settings(objective=objective, scorer=scorer).settings()
            for name, values in (dict(entry.settings) | SCORERS.get(scorer, {})).items():
                resolved = values.around(defaults[name])
                if isinstance(resolved, Choice):
                    assert resolved.values[0] == defaults[name]
                else:
                    assert 0 <= resolved.place(defaults[name]) <= 1


def test_proposals_are_short_and_within():
    space = Space({}, {})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        config = space.suggest(study.ask())
        for name, values in space.models[f"{config.scorer}-{config.objective}"].ranges.items():
            value = config.settings()[name]
            if isinstance(values, Between):
                assert values.low * 0.99 <= value <= values.high * 1.01
                assert len(f"{value:.10g}".lstrip("0.").replace(".", "")) <= 3
            else:
                assert value in values.values


def test_a_range_around_a_value_is_even_in_the_logarithm():
    values = Around(4).around(0.02)
    assert (values.low, values.high) == (0.005, 0.08)
    assert values.place(0.02) == pytest.approx(0.5)
    assert str(values) == "0.005 to 0.08 (log)"


def test_choices_come_beside_or_in_place_of_the_usual():
    dims = searched({"objective": "multinomial"}, {"dim": (32, 64)})
    assert all("dim" in names and "learning_rate" in names for names in dims.values())
    space = Space({}, {"dim": (64, 128), "learning_rate": (0.01, 0.02), "scorer": ("history",)})
    (model,) = [m for m in space.models.values() if m.base.objective == "multinomial"]
    assert model.base.dim == 64  # the default is not among them
    assert model.base.learning_rate == 0.02  # which is
    assert model.ranges["learning_rate"] == Choice((0.01, 0.02))
    pairs, _ = Space({}, {"sampler": ("dns", "nncf")}).models.values()
    assert (pairs.base.sampler, pairs.ranges["sampler"]) == ("dns", Choice(("dns", "nncf")))


def test_samplers_without_a_setting_that_is_set_are_not_chosen():
    models = Space({"smoothing": 0.1}, {}).models
    samplers = {name: model.base.sampler for name, model in models.items()}
    assert samplers == {"gmf-pairs": "gdns", "history-sampled_softmax": "gdns_tracked"}
    assert all("sampler" not in model.ranges for model in models.values())


def test_a_sampler_of_ones_own_is_tuned_around():
    model, _ = Space({"sampler": Nncf()}, {}).models.values()
    assert model.base.sampler == "given:Nncf"
    assert set(model.ranges) == {"l2", "learning_rate", "dropout"}


ALL_OF_HISTORY = {
    "objective": "multinomial",
    "scorer": "history",
    "user_l2": 1.0,
    "learning_rate": 0.02,
    "dropout": 0.0,
    "history_dropout": 0.3,
    "history_power": 0.7,
}


@pytest.mark.parametrize(
    ("settings", "choices", "message"),
    [
        (ALL_OF_HISTORY, {}, "nothing is left to search"),
        ({"dmi": 3}, {}, "no setting `dmi`; did you mean 'dim'"),
        ({"dim": 3}, {"dim": (3, 4)}, "`dim` is both set and searched"),
        ({}, {"export_dir": ("a", "b")}, "`export_dir` cannot be searched"),
        ({}, {"seed": (1, 2)}, "`seed` cannot be searched"),
        ({"l2": 0.1, "user_l2": 1.0}, {}, "`l2` has no effect on `objective`=multinomial"),
        ({"dropout": 3.0}, {}, "`dropout`=3.0 must be below 1"),
        ({"sampler": "gnds"}, {}, "`sampler`=gnds is not known; did you mean 'gdns'"),
        ({"objective": "pears"}, {}, "`objective`=pears is not known; did you mean 'pairs'"),
        ({}, {"sampler": (Nncf(), "uniform")}, "`sampler`: what is searched are names and numbers"),
    ],
)
def test_what_cannot_be_searched_is_said(settings, choices, message):
    with pytest.raises(InputError, match=message):
        Space(settings, choices)


def test_all_but_a_list_is_searched_even_where_a_model_has_nothing_else():
    (model,) = Space(ALL_OF_HISTORY, {"dim": (8, 16)}).models.values()
    assert set(model.ranges) == {"dim"}


def test_no_notice_is_given_of_what_was_not_asked(caplog):
    with caplog.at_level(logging.INFO, logger="gdns_tf"):
        Space({"l2": 0.1}, {})
    assert not caplog.records


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tune_minutes": 0}, "`tune_minutes`=0.0 must be above 0"),
        ({"tune_minutes": -1}, "`tune_minutes`"),
        ({"tune_trials": -1}, "`tune_trials`"),
        ({"search": ("dim",)}, "'dim' is no setting with values"),
        ({"search": ("dmi=1|2",)}, "did you mean 'dim'"),
        ({"search": ("dim=1|x",)}, "`dim`=x"),
    ],
)
def test_settings_of_tuning_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        TuneConfig(**settings)


def test_choices_are_read_by_the_types_of_their_settings():
    config = TuneConfig(search=("dim=32|64", "sampler=uniform|dns", "learning_rate=0.1"))
    assert config.choices == {"dim": (32, 64), "sampler": ("uniform", "dns"), "learning_rate": (0.1,)}
    assert split_choices({"dim": [8, 16], "l2": 0.1}) == ({"l2": 0.1}, {"dim": (8, 16)})
    with pytest.raises(InputError, match=r"`dim`=\[\] names no value"):
        split_choices({"dim": []})


def test_what_is_searched_is_where_trials_differ():
    one = Space({"scorer": "history", "objective": "multinomial", "dropout": 0.1}, {"dim": [8, 16]})
    assert one.searched == {"user_l2", "learning_rate", "history_dropout", "history_power", "dim"}
    assert Space({"objective": "multinomial"}, {}).searched >= {"objective", "scorer", "user_l2", "history_power"}
