"""The contract of samplers, for each that is registered: its line in the registry has it tested here."""

from sampler_contract import OBSERVED, SamplerContract

from gdns_tf.samplers import SAMPLERS


class NncfContract(SamplerContract):
    def expected_distribution(self, user):
        weights = OBSERVED.sum(axis=0) ** 0.75 * ~OBSERVED[user]
        return weights / weights.sum()


class AobprContract(SamplerContract):
    def expected_distribution(self, user):
        return None


CONTRACTS = {"nncf": NncfContract, "aobpr": AobprContract}

for _sampler in SAMPLERS:
    _name = "Test" + _sampler.title().replace("_", "")
    globals()[_name] = type(_name, (CONTRACTS.get(_sampler, SamplerContract),), {"sampler": _sampler})
