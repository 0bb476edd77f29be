"""Recipes: flagfiles found by name, over which whatever is given wins."""

import pytest
from absl import flags as absl_flags

import gdns_tf
from gdns_tf.command import exit_code
from gdns_tf.flagfiles import FOR_STUDIES, FOR_TRAINING, flags_of, recipes, settings_over_recipe, with_recipes
from gdns_tf.flags import define, from_flags
from gdns_tf.studies.config import StudyConfig
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError

TRAIN = [TrainConfig, DataConfig]
STUDY = [StudyConfig, *TRAIN]


def read(arguments, config_classes, recipes_in):
    values = flags_of(config_classes, recipes_in)
    values(["", *with_recipes(arguments, config_classes, recipes_in)])
    return [from_flags(config_class, flag_values=values) for config_class in config_classes]


def by_absl(arguments, config_classes):
    """What absl itself makes of a flagfile without recipes in it."""
    values = absl_flags.FlagValues()
    for config_class in config_classes:
        define(config_class, values)
    values(["", *arguments])
    return [from_flags(config_class, flag_values=values) for config_class in config_classes]


@pytest.mark.parametrize(("folder", "config_classes"), [(FOR_TRAINING, TRAIN), (FOR_STUDIES, STUDY)])
def test_every_recipe_is_what_its_lines_say(folder, config_classes, monkeypatch, tmp_path):
    """In any folder, by its name and by its path; a recipe that goes by another is that one and then its own lines."""
    monkeypatch.chdir(tmp_path)
    assert recipes(folder).keys() == {path.stem for path in folder.iterdir() if path.suffix == ".flags"} > {"ml1m"}
    for name, about in recipes(folder).items():
        needs = ["--study_dir=x"] if (folder, name) == (FOR_STUDIES, "ml1m") else []  # what the others share has none
        lines = (folder / f"{name}.flags").read_text().splitlines()
        base = [f"--flagfile={folder / 'ml1m.flags'}"] if "--recipe=ml1m" in lines else []
        expected = by_absl(
            [*base, *needs, *(line for line in lines if line[:9] not in ("--recipe=", ""))], config_classes
        )
        assert read([f"--recipe={name}", *needs], config_classes, folder) == expected
        assert read([*needs, f"--flagfile={folder / name}.flags"], config_classes, folder) == expected
        assert about.endswith(".")
        assert len(about) > 20


def test_what_is_given_wins_wherever_it_stands(tmp_path):
    def sizes(*arguments):
        config, _ = read([*arguments], TRAIN, FOR_TRAINING)
        return config.dim, config.group_size, config.sampler

    assert sizes("--recipe=ml1m_paper") == (32, 32, "gdns")
    for arguments in (["--dim=8", "--recipe=ml1m_paper"], ["--recipe=ml1m_paper", "--dim=8"]):
        assert sizes(*arguments) == (8, 32, "gdns")
    mine = tmp_path / "mine.flags"
    mine.write_text("# Mine.\n\n--recipe=ml1m_paper\n--group_size=16\n")
    assert sizes(f"--flagfile={mine}", "--dim=8") == (8, 16, "gdns")
    assert sizes(f"--recipe={mine}", "--dim=8") == (8, 16, "gdns")


def test_what_cannot_be_read_says_where(tmp_path):
    with pytest.raises(InputError, match=r"no recipe 'ml1'; did you mean 'ml1m'\? There are ml1m, .*quickstart; or"):
        read(["--recipe=ml1"], TRAIN, FOR_TRAINING)
    mistyped = tmp_path / "mistyped.flags"
    mistyped.write_text("--dimm=3\n")
    with pytest.raises(InputError, match=r"mistyped\.flags, line 1: .*dimm.*Did you mean: dim"):
        read([f"--recipe={mistyped}"], TRAIN, FOR_TRAINING)
    (tmp_path / "a.flags").write_text(f"--recipe={tmp_path}/b.flags\n")
    (tmp_path / "b.flags").write_text(f"--recipe={tmp_path}/a.flags\n")
    with pytest.raises(InputError, match=r"a\.flags: is a recipe that goes by itself"):
        read([f"--recipe={tmp_path}/a.flags"], TRAIN, FOR_TRAINING)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read([f"--recipe={tmp_path}"], TRAIN, FOR_TRAINING)


def test_the_command_line(capsys):
    def run(*arguments, recipes_in=FOR_TRAINING):
        return exit_code(lambda read: print(read(TrainConfig).dim), "Trains.", TRAIN, ["train", *arguments],
                         recipes_in=recipes_in)  # fmt: skip

    assert run("--recipe=ml1m_best") == 0
    assert capsys.readouterr().out == "128\n"
    assert run("--recipe=help") == 0
    assert "quickstart               The embedded data set" in capsys.readouterr().out
    assert run("--recipe=absent") == 2
    assert "There are ml1m," in capsys.readouterr().err
    assert run("--help") == 0
    assert "--recipe=NAME takes" in capsys.readouterr().out
    assert run("--recipe=ml1m", recipes_in=None) == 2
    assert "Unknown command line flag 'recipe'" in capsys.readouterr().err


def test_settings_over_a_recipe(caplog):
    def over(recipe, **given):
        return settings_over_recipe(recipe, given, TrainConfig, [DataConfig])

    paper = over("ml1m_paper")
    assert (paper["sampler"], paper["num_candidates"], paper["smoothing"]) == ("gdns", 256, 0.2)
    assert not {"dataset", "data_dir", "recipe"} & paper.keys()
    assert not caplog.messages
    assert over("ml1m_paper", dim=8, sampler="gdns", smoothing=0.5) == paper | {"dim": 8, "smoothing": 0.5}
    uniform = over("ml1m_paper", sampler="uniform")
    assert caplog.messages == ["`smoothing`=0.2 of the recipe has no effect on `sampler`=uniform."]
    assert "smoothing" not in uniform
    assert TrainConfig.from_settings(**uniform).sampler == "uniform"
    assert "smoothing" in over("ml1m_paper", sampler=["uniform", "gdns"])  # a search's choice


def test_fit_takes_a_recipe(tmp_path, monkeypatch):
    class Began(Exception):
        pass

    def begin(data, source, config, *others, **options):
        raise Began(data, config)

    monkeypatch.setattr("gdns_tf.api.train_model", begin)
    data = gdns_tf.Dataset.load("planted", planted_users=40, planted_items=140)
    with pytest.raises(Began) as began:
        gdns_tf.fit(data, recipe="quickstart", sampler="uniform", dim=4, output_dir=tmp_path / "run")
    used, config = began.value.args
    assert used is data
    assert (config.sampler, config.dim, config.group_size, config.l2) == ("uniform", 4, 16, 0.03)
    assert config.output_dir == str(tmp_path / "run")
    with pytest.raises(InputError, match="no recipe 'quick'"):
        gdns_tf.fit(data, recipe="quick")
