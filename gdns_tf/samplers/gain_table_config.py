"""Settings of the gain table, and which table they come to for the data and the memory at hand."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from gdns_tf.samplers.base import SamplerConfig
from gdns_tf.samplers.device_memory import memory_for_variables
from pipelines.config import flag
from pipelines.errors import InputError, require
from pipelines.notices import notices

AUTO, DENSE, BOUNDED = FORMS = ("auto", "dense", "bounded")
CELLS = {"float32": 8, "float16": 4, "bfloat16": 4}
"""`gain_cells` -> bytes of the H and G of a pair."""
ITEM_BYTES = 4
"""Of the number of the item that a slot of a bounded table holds, beside its cell."""
_GIB = 2**30


@dataclass(frozen=True)
class GainTableConfig(SamplerConfig):
    """Settings of samplers with a gain table.

    What they leave open, `settled` decides; a run's flags keep what was decided, so that it goes on with the same table
    on any machine.
    """

    gain_table: str = flag(
        AUTO,
        "dense: H and G of all pairs; bounded: of `gain_slots` items a user; auto: dense if it fits into "
        "`gain_memory_share`, else bounded.",
        FORMS,
    )
    gain_slots: int = flag(
        0, "Items a user that a bounded gain table keeps; 0: as many as fit into `gain_memory_share`.", at_least=0
    )
    gain_cells: str = flag(
        "float32", "Numbers that the gain table keeps: 8 bytes a pair, or 4, and 4 more if bounded.", tuple(CELLS)
    )
    gain_ways: int = flag(
        1, "Slots of a bounded gain table that an item may have; the lowest indicator goes. 1: its own.", at_least=1
    )
    gain_memory_share: float = flag(
        0.5, "Share of the free memory, a GPU's if there is one, that such a gain table may take.", above=0, at_most=1
    )

    takes_bounded: ClassVar[bool] = True
    """Whether its sampler can do with a bounded table."""

    def check(self) -> None:
        rule = "does not go with `gain_table`=dense, which keeps all items"
        require(self.gain_table != DENSE or not self.gain_slots, "gain_slots", self.gain_slots, rule)

    @property
    def is_open(self) -> bool:
        """Whether the table depends on the memory at hand."""
        return self.gain_table != DENSE and not self.gain_slots

    def is_bounded(self, num_items: int) -> bool:
        """Whether the table, settled, is a bounded one. `gain_slots` alone bounds it if there are more items."""
        return self.gain_table == BOUNDED or 0 < self.gain_slots < num_items

    def slots(self, num_items: int) -> int:
        """Of a user in a bounded table, settled."""
        return min(self.gain_slots, num_items)

    def table_bytes(self, num_users: int, num_items: int) -> int:
        """The size of the table, settled; of one that is still open, if it is dense."""
        if self.is_bounded(num_items) and self.gain_slots:
            return num_users * self.slots(num_items) * self._slot_bytes
        return num_users * num_items * CELLS[self.gain_cells]

    @property
    def _slot_bytes(self) -> int:
        return ITEM_BYTES + CELLS[self.gain_cells]

    def settled(self, num_users: int, num_items: int) -> Self:
        """With the table decided that the data and the memory at hand allow, which is said in a notice.

        Raises:
          InputError: a dense one does not fit into memory, or not a single slot a user.
        """
        free, whose = memory_for_variables()
        sizes = f"{num_users:,} users x {num_items:,} items"
        dense = replace(self, gain_table=DENSE, gain_slots=0)
        if not self.is_open or not self.takes_bounded:
            settled = self if not self.is_open else dense
            if (size := settled.table_bytes(num_users, num_items)) > free:
                told = (
                    f"a gain table of {sizes} takes {size / _GIB:,.1f} GiB, and the {whose} has {free / _GIB:,.1f} free"
                )
                raise InputError(told, remedy=self._remedy(num_items))
            return settled
        budget, size = self.gain_memory_share * free, dense.table_bytes(num_users, num_items)
        if self.gain_table == AUTO and size <= budget:
            notices.info("The gain table is dense: %s, %.2f GiB of %.1f free.", sizes, size / _GIB, free / _GIB)
            return dense
        slots = min(num_items, int(budget / (num_users * self._slot_bytes)))
        if not slots:
            told = f"{budget / _GIB:,.2f} GiB hold no gain table of {num_users:,} users: `gain_memory_share`="
            told += f"{self.gain_memory_share:g} of the {whose} that is free"
            raise InputError(told, remedy="Raise it, or choose another `sampler`.")
        bounded = replace(self, gain_table=BOUNDED, gain_slots=slots)
        notices.warning(
            "The gain table keeps `gain_slots`=%d of %d items a user, %.1f GiB: dense it takes %.1f GiB, and "
            "`gain_memory_share`=%g of the %s that is free is %.1f.",
            *(slots, num_items, bounded.table_bytes(num_users, num_items) / _GIB, size / _GIB),
            *(self.gain_memory_share, whose, budget / _GIB),
        )
        return bounded

    def _remedy(self, num_items: int) -> str:
        """Of a table that does not fit."""
        halved = ", or halve its cells by `gain_cells`=float16" if self.gain_cells == "float32" else ""
        if not self.takes_bounded:
            return f"Choose another `sampler`{halved}."
        if self.is_bounded(num_items):
            return f"Lower `gain_slots`{halved}."
        return f"Bound it by `gain_table`=bounded, which keeps as many items a user as fit{halved}."

    def settled_as(self, former: "GainTableConfig") -> Self:
        """With what is left open as it was settled in a run that is gone on with.

        A run that left it open itself is of a former version, which knew dense tables only.
        """
        if not self.is_open:
            return self
        form, slots = (DENSE, 0) if former.is_open else (former.gain_table, former.gain_slots)
        if form == AUTO or self.gain_table not in (AUTO, form):  # what was asked for was another table
            return self
        return replace(self, gain_table=form, gain_slots=slots)
