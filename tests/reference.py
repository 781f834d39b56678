"""Slow float64 references, written with loops from the equations, sharing nothing with the package.

They follow Eq. 1 to 6 of ResCom (arXiv 2203.11506) with the released code's candidates.
"""

import numpy as np


def class_weights(counts, beta):
    """Eq. 2, from the definition of the effective number."""
    if beta == 0:
        return [1.0] * len(counts)
    effective = [sum(beta**k for k in range(n)) for n in counts]  # (1 - b^n) / (1 - b)
    return [float(np.mean(effective)) / e for e in effective]


def contrastive_loss(z, labels, keys, key_labels, valid, *, temperature, beta=0.0, counts=None,
                     num_positives=None, num_negatives=None, in_batch_pairs=True, anchors='both'):
    """The loss and its gradient to z (keys are constants), one anchor and one pair at a time."""
    rows = len(z)
    n_anchors = rows if anchors == 'both' else rows // 2
    weights = class_weights(counts, beta) if beta else None
    total, grad = 0.0, np.zeros_like(z)
    for i in range(n_anchors):
        candidates = []  # (similarity, is positive, partner's vector, partner's row or None)
        if in_batch_pairs:
            for j in range(rows):
                if j != i:
                    candidates.append((z[i] @ z[j], labels[j] == labels[i], z[j], j))
        own, others = [], []
        for k in range(len(keys)):
            if valid[k]:
                entry = (z[i] @ keys[k], key_labels[k] == labels[i], keys[k], None)
                (own if entry[1] else others).append(entry)
        if num_positives is not None:
            own = sorted(own, key=lambda e: e[0])[:num_positives]
        if num_negatives is not None:
            others = sorted(others, key=lambda e: -e[0])[:num_negatives]
        candidates += own + others
        positives = [c for c in candidates if c[1]]
        if not positives:
            continue
        logits = np.array([c[0] / temperature for c in candidates])
        shift = logits.max()
        log_sum = shift + np.log(np.exp(logits - shift).sum())
        loss = -np.mean([c[0] / temperature - log_sum for c in positives])
        weight = weights[labels[i]] if weights else 1.0
        total += weight * loss / n_anchors
        for logit, (_, positive, partner, row) in zip(logits, candidates):
            coefficient = np.exp(logit - log_sum) - (1 / len(positives) if positive else 0.0)
            coefficient *= weight / temperature / n_anchors
            grad[i] += coefficient * partner
            if row is not None:
                grad[row] += coefficient * z[i]
    return total, grad


def info_nce(z, keys, valid, temperature):
    """MoCo's Eq. 1 and its gradient to z, one query and one key at a time."""
    images = len(z) // 2
    total, grad = 0.0, np.zeros_like(z)
    for i in range(images):
        candidates = [z[images + i]] + [k for k, v in zip(keys, valid) if v]
        exponentials = [np.exp(z[i] @ k / temperature) for k in candidates]
        total -= np.log(exponentials[0] / sum(exponentials)) / images
        for rank, key in enumerate(candidates):
            share = exponentials[rank] / sum(exponentials) - (rank == 0)
            grad[i] += share * key / temperature / images
            if rank == 0:
                grad[images + i] += share * z[i] / temperature / images
    return total, grad


def mirrored_weights(counts):
    """For each class the count of the class of the mirrored rank (equal counts by class id)."""
    ranking = sorted(range(len(counts)), key=lambda c: (-counts[c], c))
    mirrored = dict(zip(ranking, reversed(ranking)))
    return [counts[mirrored[c]] for c in range(len(counts))]


class LoopQueue:
    """Per-class (or per-group) FIFOs, filled key by key."""

    def __init__(self, capacities, dim):
        self.capacities = capacities
        self.slots = [[None] * capacity for capacity in capacities]
        self.pointers = [0] * len(capacities)
        self.dim = dim

    def write(self, keys, labels, groups):
        for key, label, group in zip(keys, labels, groups):
            if label < 0:
                continue
            self.slots[group][self.pointers[group]] = (np.array(key), int(label))
            self.pointers[group] = (self.pointers[group] + 1) % self.capacities[group]

    def flat(self):
        """Keys (zeros where unwritten), labels and valid, slot by slot."""
        entries = [slot for group in self.slots for slot in group]
        keys = np.array([e[0] if e else np.zeros(self.dim) for e in entries])
        return keys, [e[1] if e else None for e in entries], [e is not None for e in entries]
