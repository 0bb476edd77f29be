"""Flags made from dataclasses, and flagfiles that reproduce them."""

import random
from dataclasses import dataclass, field, fields

import pytest
from absl import flags as absl_flags

from gdns_tf import flags
from pipelines.config import DataConfig
from pipelines.errors import InputError


def option(default, help="", choices=()):
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class Sample:
    text: str = option("plain", "Some text.")
    count: int = option(3, "How many.")
    rate: float = option(0.5, "How fast.")
    bold: bool = option(False, "Whether.")
    mode: str = option("slow", "Which.", ("slow", "fast"))
    names: tuple[str, ...] = option((), "Which ones.")
    sizes: tuple[int, ...] = option((1, 3), "How large.")

    def __post_init__(self):
        if self.count < 0:
            raise ValueError(f"--count must not be negative, is {self.count}")


@dataclass(frozen=True)
class Other:
    note: str = option("", "Another.")


def parse(*arguments, config_class=Sample):
    values = absl_flags.FlagValues()
    flags.define(config_class, values)
    values(["program", *arguments])
    return values


def replay(tmp_path, configs):
    path = tmp_path / "flags.txt"
    path.write_text(flags.replayable(configs), encoding="utf-8")
    values = absl_flags.FlagValues()
    for config in configs:
        flags.define(type(config), values)
    values(["program", f"--flagfile={path}"])
    return [flags.from_flags(type(config), flag_values=values) for config in configs]


def test_defaults_are_the_fields():
    assert flags.from_flags(Sample, flag_values=parse()) == Sample()


def test_every_type_is_parsed():
    arguments = [
        "--text= a b",
        "--count=-0",
        "--rate=1e-3",
        "--bold",
        "--mode=fast",
        '--names=a, b,"c,d",""',
        "--sizes=5",
    ]
    assert flags.from_flags(Sample, flag_values=parse(*arguments)) == Sample(
        text=" a b", count=0, rate=1e-3, bold=True, mode="fast", names=("a", "b", "c,d", ""), sizes=(5,)
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--count=many", "flag --count=many: invalid literal"),
        ("--rate=fast", "flag --rate=fast: could not convert"),
        ("--mode=medium", "should be one of <slow|fast>"),
        ("--sizes=1,two", "flag --sizes=1,two: invalid literal"),
        ("--text=a\nb", "more than one line"),
        ("--text=a ", "ends in white space"),
        ("--tetx=a", "Did you mean: text"),
    ],
)
def test_bad_values_are_refused_by_name(argument, message):
    with pytest.raises(absl_flags.Error, match=message.replace("|", r"\|")):
        parse(argument)


def test_help_names_the_flag_its_choices_and_the_dataclass():
    text = parse().get_help()
    assert "Sample:" in text
    assert "--mode: <slow|fast>: Which." in text
    assert "(default: '1,3')" in text
    assert "--[no]bold: Whether." in text


def test_defining_twice_is_harmless_but_a_clash_is_not():
    values = parse()
    flags.define(Sample, values)

    @dataclass(frozen=True)
    class Clash:
        count: int = option(1)

    with pytest.raises(absl_flags.DuplicateFlagError):
        flags.define(Clash, values)


def test_a_field_of_another_type_is_refused():
    @dataclass(frozen=True)
    class Strange:
        mapping: dict = field(default=None)

    with pytest.raises(TypeError, match="mapping"):
        flags.define(Strange, absl_flags.FlagValues())


def test_flags_given_win_over_the_base_and_the_base_over_defaults():
    base = Sample(text="base", count=7)
    assert flags.from_flags(Sample, base, parse("--count=3")) == Sample(text="base", count=3)


def test_random_configs_survive_a_flagfile(tmp_path):
    rng = random.Random(0)
    alphabet = " ab,\"'\\#/=-\täñ漢"

    def text(strip):
        drawn = "".join(rng.choices(alphabet, k=rng.randrange(6)))
        return drawn.rstrip() if strip else drawn

    for _ in range(300):
        sample = Sample(
            text=text(strip=True),
            count=rng.choice([0, rng.randrange(2**62)]),
            rate=rng.choice([0.1, 1e-300, float("inf"), rng.random(), rng.uniform(-1e9, 1e9)]),
            bold=rng.random() < 0.5,
            mode=rng.choice(["slow", "fast"]),
            # An element may not end its list's line in white space unquoted, so quoting is exercised too.
            names=tuple(text(strip=True) for _ in range(rng.randrange(4))),
            sizes=tuple(rng.randrange(-9, 99) for _ in range(rng.randrange(4))),
        )
        other = Other(note=text(strip=True))
        assert replay(tmp_path, [sample, other]) == [sample, other]


@pytest.mark.parametrize("text", ["ends in space ", "two\nlines", "two\u2028lines"])
def test_text_that_a_flagfile_cannot_hold_is_refused_when_written(text):
    with pytest.raises(absl_flags.IllegalFlagValueError, match="flagfile"):
        flags.replayable([Other(note=text)])


def test_read_config_takes_its_own_flags_from_a_file_of_many(tmp_path):
    path = tmp_path / "flags of a run.txt"
    path.write_text(flags.replayable([Sample(text="x", bold=True), Other(note="-- not mine")]), encoding="utf-8")
    assert flags.read_config(path, Sample) == Sample(text="x", bold=True)
    assert flags.read_config(path, Other) == Other(note="-- not mine")


@pytest.mark.parametrize("line", ["--count=many", "--count=-1"])
def test_read_config_names_the_file_and_the_flag(tmp_path, line):
    path = tmp_path / "flags.txt"
    path.write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"flags\.txt(, line 1)?: .*--count"):
        flags.read_config(path, Sample)


def test_read_config_of_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        flags.read_config(tmp_path / "absent.txt", Sample)


def test_the_data_flags_all_have_help():
    assert all(field.metadata["help"] for field in fields(DataConfig))
    assert flags.from_flags(DataConfig, flag_values=parse(config_class=DataConfig)) == DataConfig()
