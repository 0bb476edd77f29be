"""What TensorBoard shows of a run: curves beside popularity, what came of it, its settings, its items' vectors.

| tab | what it has | file |
| --- | --- | --- |
| Time Series | `curves/`, `popularity/`, `sampler/`, `weights_kept/`, in this order | `callback`, `tags` |
| Custom Scalars | what is to be compared, in one chart | `layout` |
| HParams | a row for each run: what tells it from others, the figures of the weights that were kept | `hparams` |
| Projector | the items by their vectors, with titles and popularity | `projector` |
| Text | how to repeat the run, its data, all its settings | `texts` |

A run writes as it trains (`callback`); one that did not can be written afterwards (`finished`).
"""
