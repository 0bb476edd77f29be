"""From a DataFrame of clicks to recommendations and TensorFlow Serving: python -m gdns_tf.examples.from_dataframe"""

import sys
import tempfile
from pathlib import Path

import gdns_tf
from gdns_tf.examples.clicks import make_clicks


def main(max_epochs: int = 30) -> None:
    clicks = make_clicks()  # any pandas, polars or Arrow table
    print(clicks.head(3).to_string(index=False), end="\n\n")

    data = gdns_tf.Dataset.from_dataframe(clicks, user="user_id", item="item_id", timestamp="ts", title="name")
    model = gdns_tf.fit(data, max_epochs=max_epochs)
    print(model, end="\n\n")
    print(model.evaluate().round(4), end="\n\n")  # beside popularity

    print(model.recommend(["u-17"], k=3), end="\n\n")
    print(model.recommend_by_history([["i-1", "i-7"]], k=3), end="\n\n")  # somebody new
    print(model.similar_items(["i-1"], k=3), end="\n\n")

    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model"))
        again = gdns_tf.load(Path(folder, "model"))
        assert again.recommend(["u-17"], k=3).equals(model.recommend(["u-17"], k=3))
        print("Exported for TensorFlow Serving:", model.export(Path(folder, "shop")).name)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
