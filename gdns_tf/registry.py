"""Named classes that are chosen by a setting, such as samplers: those of this package and those of others."""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from pipelines.errors import InputError, shown
from pipelines.nearest import did_you_mean
from pipelines.notices import notices

Class = TypeVar("Class")


class Registry(Mapping[str, type[Class]], Generic[Class]):
    """Name -> class. Other packages add theirs by an entry point, and programs by `register`.

    An entry point in another package's pyproject.toml:

      [project.entry-points."gdns_tf.samplers"]
      mine = "my_package.samplers:Mine"
    """

    def __init__(self, setting: str, group: str, built_in: Mapping[str, type[Class]]) -> None:
        """Args:
        setting: the setting that names one, for error messages.
        group: of the entry points.
        built_in: those of this package.
        """
        self._setting, self._group = setting, group
        self._classes = dict(built_in)
        self._looked = False

    def register(self, name: str, registered: type[Class]) -> type[Class]:
        """Adds a class under a name; the same class defined anew, as by a notebook's cell, takes its place.

        Raises:
          InputError: the name is taken by another.
        """
        there = self._all.get(name, registered)
        if (there.__module__, there.__qualname__) != (registered.__module__, registered.__qualname__):
            raise InputError(f"`{self._setting}`={name} is registered already, as {self._all[name].__qualname__}")
        self._classes[name] = registered
        return registered

    def __getitem__(self, name: str) -> type[Class]:
        """Raises InputError, with the nearest name, where there is none of that name."""
        if name not in self._all:
            raise InputError(
                f"`{self._setting}`={shown(name)} is not known{did_you_mean(name, self._all)}",
                remedy=f"Choose among {', '.join(self._all)}.",
            )
        return self._all[name]

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def _all(self) -> dict[str, type[Class]]:
        if not self._looked:
            self._looked = True
            for point in entry_points(group=self._group):
                try:
                    self.register(point.name, point.load())
                except Exception as error:  # another package's fault must not stop those who do not use it
                    notices.warning("%s %r of %s is left out: %s", self._setting, point.name, point.value, error)
        return self._classes
