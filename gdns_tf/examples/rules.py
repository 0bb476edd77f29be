"""What a shop adds to a model's scores, rules and reasons and variety: python -m gdns_tf.examples.rules"""

import sys

import gdns_tf
from gdns_tf.examples.clicks import make_clicks


def main(max_epochs: int = 30) -> None:
    data = gdns_tf.Dataset.from_dataframe(make_clicks(), timestamp="ts", title="name")
    model = gdns_tf.fit(data, max_epochs=max_epochs)
    best = model.recommend(["u-17"], k=5)

    sold_out = best.item.tolist()[:2]
    left = model.recommend(["u-17"], k=5, exclude=sold_out)
    print(f"Without {sold_out}:", left.item.tolist())
    assert not set(sold_out) & set(left.item)

    on_sale = [f"i-{number}" for number in range(0, 300, 10)]
    offers = model.recommend(["u-17"], k=5, restrict_to=on_sale)
    print("On sale:", offers.item.tolist())
    assert set(offers.item) <= set(on_sale)

    again = model.recommend(["u-17"], k=5, exclude_seen=False)  # for what is bought again and again
    print("Had or not:", again.item.tolist())

    print("Less of one kind:", model.recommend(["u-17"], k=5, mmr=0.5).item.tolist())

    why = model.recommend(["u-17"], k=3, why=2)
    for row in why.itertuples():
        reasons = ", ".join(f"{item} ({adds:+.2f})" for item, adds in zip(row.because, row.contributions, strict=True))
        print(f"{row.title}, score {row.score:.2f}, because of {reasons}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
