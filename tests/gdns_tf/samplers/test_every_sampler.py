"""The contract of samplers, for each that is registered: its line in the registry has it tested here."""

import numpy as np
from sampler_contract import OBSERVED, SamplerContract

from gdns_tf.samplers.registry import SAMPLERS


class NncfContract(SamplerContract):
    def expected_distribution(self, user):
        weights = OBSERVED.sum(axis=0) ** 0.75 * ~OBSERVED[user]
        return weights / weights.sum()


class AobprContract(SamplerContract):
    def expected_distribution(self, user):
        return None  # factors rank the items even where they matter to nobody


class DnsMnContract(SamplerContract):
    equal_if_compiled = False  # lots fall to the hard candidates by place, and top_k has them in no set order


class AhnsContract(SamplerContract):
    def expected_distribution(self, user):
        return None  # like positives get the same negative, so a group is not of independent draws


class GeneratorContract(SamplerContract):
    def expected_distribution(self, user):
        return None  # drawn with replacement from the candidates, so a group is not of independent draws


class SrnsContract(SamplerContract):
    def comparable(self, variable):
        # A memory is a set: top_k has what it keeps in no set order.
        return np.sort(variable.numpy()) if variable.name.startswith("memory") else variable.numpy()


class EnmfContract(SamplerContract):
    compiles = False


CONTRACTS = {
    "nncf": NncfContract,
    "aobpr": AobprContract,
    "dns_mn": DnsMnContract,
    "ahns": AhnsContract,
    "irgan": GeneratorContract,
    "rns_as": GeneratorContract,
    "advir": GeneratorContract,
    "srns": SrnsContract,
    "enmf": EnmfContract,
}

for _sampler in SAMPLERS:
    _name = "Test" + _sampler.title().replace("_", "")
    globals()[_name] = type(_name, (CONTRACTS.get(_sampler, SamplerContract),), {"sampler": _sampler})
