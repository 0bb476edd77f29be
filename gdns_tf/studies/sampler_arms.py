"""What the study `sampler_worth` compares: one model, its softmax over all items or over sampled negatives."""

from gdns_tf.studies.arm import Arm


def _sampled(title: str, label: str, sampler: str, group_size: int, task: str = "train", **settings: object) -> Arm:
    sizes = {"group_size": group_size, "num_candidates": max(256, group_size)}
    return Arm(title, label, {"objective": "sampled_softmax", "sampler": sampler, **sizes, **settings}, task)


def _tracked(title: str, label: str, **settings: object) -> Arm:
    return _sampled(title, label, "gdns_tracked", 32, **settings)


ARMS: dict[str, Arm] = {
    "full": Arm("full softmax", "full", {"objective": "multinomial"}),
    **{f"uniform_{n}": _sampled(f"uniform, N = {n}", f"uniform_{n}", "uniform", n) for n in (128, 32, 64, 256, 512)},
    **{
        f"shared_{n}": _sampled(f"uniform, shared, N = {n}", f"shared_{n}", "uniform", n, shared_negatives=True)
        for n in (512, 2048)
    },
    "popular_128": _sampled("by popularity^.75, N = 128", "popular_128", "nncf", 128),
    "dns": _sampled("DNS, 32 of 256", "dns", "dns", 32),
    "gdns": _sampled("GDNS (Algorithm 1), 32 of 256", "gdns", "gdns", 32),
    "gdns_without_g": _sampled("GDNS without G, 32 of 256", "gdns_without_g", "gdns_without_g", 32),
    "tracked": _tracked("GDNS tracked, H - .5 (1 - G)", "tracked"),
    "tracked_other": _tracked("tracked, another item's G", "tracked_other", gain_of_another=True),
    "tracked_noise": _tracked("tracked, H and noise to .3, no G", "tracked_noise", gain_weight=0.0, choice_noise=0.3),
    "oracle_128": _sampled("uniform, N = 128, no false negatives", "oracle_128", "uniform", 128, "oracle"),
}
"""Name -> what it trains; the first two are what all others are tested against."""

QUESTIONS = (
    ("does the hardest choice pay, N alike?", "dns", "uniform_32"),
    ("does softening it help?", "tracked_noise", "dns"),
    ("does G help?", "tracked", "dns"),
    ("does it matter whose G it is?", "tracked", "tracked_other"),
    ("does G do more than noise?", "tracked", "tracked_noise"),
    ("does a fresh table help?", "tracked", "gdns"),
    ("is GDNS above as many uniform negatives?", "gdns", "uniform_32"),
    ("is tracked GDNS above 128 uniform ones?", "tracked", "uniform_128"),
    ("what would telling false negatives bring?", "oracle_128", "uniform_128"),
)
"""(what is asked, the arm, what it is compared with)."""
