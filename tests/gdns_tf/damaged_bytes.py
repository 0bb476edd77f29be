"""Damage to the bytes of a file, for Hypothesis."""

from hypothesis import settings
from hypothesis import strategies as st

few = settings(max_examples=settings.default.max_examples // 2)
"""Examples, of tests of many readers: half of what others have."""

ODD = st.sampled_from(
    [
        *b'\0|\r|\n|\n\n|"|""|,|\t|::| |\x1a|-|nan|inf|1e999|=1|user_id,item_id\n|2020-01-01'.split(b"|"),
        *b"\xff\xfe|\xef\xbb\xbf|\xed\xa0\x80|\x1f\x8b|PK\x03\x04|PAR1|\x80\x04|\x93NUMPY|\xff\xff\xff\x7f".split(b"|"),
        *("\u0663".encode(), "\u2028".encode(), "a,b".encode("utf-16"), b"9" * 5000, b"x" * 2000, b"\n" * 500),
        *(b"9999-12-31T00:00:00Z", b"-9223372036854775809"),
    ]
)
"""What formats end with, begin with and do not expect."""
_PLACE = st.floats(0, 1)
_DAMAGE = st.one_of(
    st.tuples(st.just("flip"), _PLACE, st.integers(0, 7)),
    st.tuples(st.just("cut"), _PLACE, st.none()),
    st.tuples(st.just("insert"), _PLACE, ODD | st.binary(max_size=8)),
    st.tuples(st.just("overwrite"), _PLACE, ODD | st.binary(max_size=8)),
    st.tuples(st.just("remove"), _PLACE, st.integers(1, 40)),
    st.tuples(st.just("repeat"), _PLACE, st.integers(1, 40)),
)
DAMAGES = st.lists(_DAMAGE, min_size=1, max_size=3)


def damaged(content: bytes, damages: list[tuple]) -> bytes:
    """The bytes after each damage in turn."""
    for how, place, what in damages:
        at = int(place * len(content))
        before, after = content[:at], content[at:]
        if how == "flip":
            content = before + bytes([after[0] ^ 1 << what]) + after[1:] if after else content
        elif how == "cut":
            content = before
        elif how == "insert":
            content = before + what + after
        elif how == "overwrite":
            content = before + what + after[len(what) :]
        elif how == "remove":
            content = before + after[what:]
        else:
            content = before + after[:what] * 2 + after[what:]
    return content
