"""Recipes: the flagfiles of `configs/`, which travel with the package and are found by name, as `--recipe=ml1m`.

`configs` beside this module is a link to the repository's folder; in a wheel it is a folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from absl import flags

from gdns_tf.flag_lines import lines_of, parse
from gdns_tf.flags import define, given_settings, parts
from pipelines.errors import InputError, shown
from pipelines.nearest import did_you_mean
from pipelines.notices import notices
from pipelines.paths import AnyPath, as_path

CONFIGS = Path(__file__).parent / "configs"
FOR_TRAINING = CONFIGS
"""The folder of recipes for training, tuning and `gdns_tf.fit`."""
FOR_STUDIES = CONFIGS / "studies"
"""The folder of recipes for `gdns_tf.study`."""


def recipes(folder: Path) -> dict[str, str]:
    """The recipes of a folder: name -> what it is for, the first sentence of its leading comment."""
    return {path.stem: _about(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.flags"))}


def flags_of(config_classes: Sequence[type], recipes_in: Path | None) -> flags.FlagValues:
    """The flags of settings dataclasses, and `--recipe` unless `recipes_in` is None; nothing is parsed yet."""
    flag_values = flags.FlagValues()
    for config_class in config_classes:
        define(config_class, flag_values)
    if recipes_in is not None:
        flags.DEFINE_string("recipe", None, "A recipe's name, or its file.", flag_values)
    return flag_values


def with_recipes(
    arguments: Sequence[str], config_classes: Sequence[type], recipes_in: Path, within: tuple[AnyPath, ...] = ()
) -> list[str]:
    """Command-line arguments with those of the recipe that they name in front, over which they win.

    A recipe may name another one that it goes by. Of several `--recipe` of one command line the last counts.

    Args:
      arguments: without the program's name.
      config_classes: whose settings are the flags.
      recipes_in: the folder in which they are found by name.
      within: the recipes that led to these arguments.

    Raises:
      InputError: there is no such recipe, with the names of those there are, or a file's flags cannot be read.
      absl.flags.Error: a flag of the arguments cannot be read.
    """
    flag_values = flags_of(config_classes, recipes_in)
    parse(flag_values, arguments)
    if not flag_values["recipe"].present:
        return list(arguments)
    path = _path(flag_values["recipe"].value, recipes_in)
    if path in within:
        raise InputError("is a recipe that goes by itself", path=path, remedy="Take its line --recipe out.")
    return [*with_recipes(lines_of(path), config_classes, recipes_in, (*within, path)), *arguments]


def settings_over_recipe(
    recipe: str, given: Mapping[str, object], config_class: type, others: Sequence[type]
) -> dict[str, object]:
    """Settings that are given, and for the rest those of a recipe.

    What the recipe says of a sampler or a scorer falls away, and that is said, where another one is given.

    Args:
      recipe: its name, or its file.
      given: settings by name.
      config_class: the dataclass that they are of.
      others: dataclasses whose flags a recipe may hold too, to no effect.

    Raises:
      InputError: as `with_recipes`.
    """
    config_classes = (config_class, *others)
    flag_values = flags_of(config_classes, FOR_TRAINING)
    parse(flag_values, with_recipes([f"--recipe={recipe}"], config_classes, FOR_TRAINING))
    settings = given_settings(config_class, flag_values)
    for part in parts(config_class):
        name, registry = part.metadata["chosen_by"], part.metadata["registry"]
        if name not in given:
            continue
        chosen = given[name] if isinstance(given[name], list | tuple) else [given[name]]
        owned = {one: {f.name for f in fields(registry[one].config_class)} for one in registry}
        apply = set().union(*(owned[one] for one in chosen if isinstance(one, str) and one in owned))
        for setting in sorted(set().union(*owned.values()) & settings.keys() - apply - given.keys()):
            effect = "`%s`=%s of the recipe has no effect on `%s`=%s."
            notices.warning(effect, setting, settings.pop(setting), name, ", ".join(map(str, chosen)))
    return settings | dict(given)


def _path(recipe: str, folder: Path) -> AnyPath:
    names = recipes(folder)
    if recipe in names:
        return folder / f"{recipe}.flags"
    try:
        path = as_path(recipe)
        if path.exists():
            return path
    except (OSError, ValueError):  # what could be no file's name
        pass
    remedy = f"There are {', '.join(names)}; or give a file of flags."
    raise InputError(f"there is no recipe {shown(recipe, quoted=True)}{did_you_mean(recipe, names)}", remedy=remedy)


def _about(text: str) -> str:
    comments = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comments.append(line.removeprefix("#").strip())
    return " ".join(comments).partition(". ")[0].rstrip(".") + "."
