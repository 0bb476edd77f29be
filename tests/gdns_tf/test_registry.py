"""Classes by name: those of this package, of programs, and of other packages by entry points."""

import logging
from importlib.metadata import EntryPoint

import pytest

from gdns_tf import registry
from gdns_tf.registry import Registry
from pipelines.errors import InputError


class Own:
    pass


class Other:
    pass


def made(monkeypatch, *points):
    def entry_points(*, group):
        assert group == "gdns_tf.things"
        return points

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return Registry("thing", "gdns_tf.things", {"own": Own})


def test_a_package_adds_its_own_by_an_entry_point(monkeypatch):
    things = made(monkeypatch, EntryPoint("fraction", "fractions:Fraction", "gdns_tf.things"))
    assert list(things) == ["own", "fraction"]
    assert things["fraction"].__name__ == "Fraction"
    assert "fraction" in things
    assert len(things) == 2


def test_a_package_that_is_broken_hinders_nobody_else(monkeypatch, caplog):
    things = made(
        monkeypatch,
        EntryPoint("absent", "no_such_package:Thing", "gdns_tf.things"),
        EntryPoint("own", "fractions:Fraction", "gdns_tf.things"),  # a name that is taken
    )
    with caplog.at_level(logging.WARNING, logger="gdns_tf"):
        assert dict(things) == {"own": Own}
    assert "thing 'absent' of no_such_package:Thing is left out: No module named 'no_such_package'" in caplog.text
    assert "thing 'own' of fractions:Fraction is left out: `thing`=own is registered already, as Own" in caplog.text


def test_a_program_registers_and_a_notebook_does_so_again(monkeypatch):
    things = made(monkeypatch)
    things.register("other", Other)
    anew = type("Other", (), {"__module__": Other.__module__, "__qualname__": Other.__qualname__})
    things.register("other", anew)
    assert things["other"] is anew
    with pytest.raises(InputError, match="`thing`=other is registered already, as Other"):
        things.register("other", Own)


def test_an_unknown_name_is_refused_with_the_nearest(monkeypatch):
    with pytest.raises(InputError, match=r"`thing`=onw is not known; did you mean 'own'\? Choose among own"):
        made(monkeypatch)["onw"]
