"""The paper's equations and Algorithm 1 in plain NumPy loops and float64: what the TensorFlow code must agree with."""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


PENALTIES = {  # loss of a pair and its derivative, by x = r_uj - r_ui + margin
    "hinge": (lambda x: max(0.0, x), lambda x: float(x > 0)),
    "squared_hinge": (lambda x: max(0.0, x) ** 2 / 2, lambda x: max(0.0, x)),
    "softplus": (lambda x: np.log1p(np.exp(x)), sigmoid),
}


class Oracle:
    """P, Q, w, their Adagrad accumulators, and H and G as [num_users, num_items]."""

    def __init__(self, P, Q, w, *, loss, pairing, margin, l2, user_weights, smoothing, epsilon, rate, indicator):
        self.P, self.Q, self.w = (np.array(x, np.float64) for x in (P, Q, w))
        self.H, self.G = np.ones((len(P), len(Q))), np.ones((len(P), len(Q)))
        self.squares = [np.full_like(x, 0.1) for x in (self.P, self.Q, self.w)]
        self.penalty, self.slope = PENALTIES[loss]
        self.pairing, self.margin, self.l2, self.user_weights = pairing, margin, l2, user_weights
        self.smoothing, self.epsilon, self.rate, self.indicator = smoothing, epsilon, rate, indicator

    def choose(self, user, candidates, group_size):
        """Line 10: the top N of the candidates, the earlier of equals first; uniform: simply the first N."""
        if self.indicator is None:
            return candidates[:group_size]
        table = self.G if self.indicator == "g" else self.H
        order = sorted(range(len(candidates)), key=lambda k: (-np.float32(table[user, candidates[k]]), k))
        return [candidates[k] for k in order[:group_size]]

    def step(self, users, positives, candidates, masks, orders=None):
        """One mini-batch; returns the mean loss of a pair, unweighted, and (dP, dQ, dw).

        The paper leaves open in which order the chosen negatives stand, which matters to pair-wise training only:
        `orders` gives it, and must be an order of the negatives that are chosen here.
        """
        gradients = [np.zeros_like(x) for x in (self.P, self.Q, self.w)]
        dP, dQ, dw = gradients
        losses, written = [], []
        for row, (user, delta, drawn, mask) in enumerate(zip(users, positives, candidates, masks, strict=True)):
            negatives = self.choose(user, list(drawn), len(delta))
            if orders is not None:
                assert sorted(orders[row]) == sorted(negatives)
                negatives = list(orders[row])
            p = self.P[user] * mask
            score = {item: float(np.sum(self.w * p * self.Q[item])) for item in {*delta, *negatives}}
            pairs = (
                [(i, j) for i in delta for j in negatives]
                if self.pairing == "group"
                else list(zip(delta, negatives, strict=True))
            )
            weight = self.user_weights[user]
            for i, j in pairs:  # Eq. 6, or Eq. 3, and L2 on p_u, q_i and q_j in every pair
                x = score[j] - score[i] + self.margin
                losses.append(self.penalty(x))
                c = weight * self.slope(x)
                dP[user] += c * self.w * mask * (self.Q[j] - self.Q[i]) + weight * self.l2 * self.P[user]
                dw += c * p * (self.Q[j] - self.Q[i])
                dQ[j] += c * self.w * p + weight * self.l2 * self.Q[j]
                dQ[i] += -c * self.w * p + weight * self.l2 * self.Q[i]
            if self.indicator:
                for j in set(negatives):  # Eq. 4 and Eq. 5
                    h = np.mean([sigmoid(score[j] - score[i]) for i in delta])
                    change = sigmoid((self.H[user, j] - h) / (h + self.epsilon))
                    written.append((user, j, h, self.smoothing * self.G[user, j] + (1 - self.smoothing) * change))
        for user, j, h, g in written:
            self.H[user, j], self.G[user, j] = h, g
        for x, square, gradient in zip((self.P, self.Q, self.w), self.squares, gradients, strict=True):
            square += gradient**2
            x -= self.rate * gradient / np.sqrt(square + 1e-8)
        return np.mean(losses), gradients
