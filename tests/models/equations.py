"""Layers as plain numpy, for tests of the equations of systems."""

import numpy as np
import torch


def numbers(layer):
    """The weights of a layer as float64 arrays, by name."""
    return {n: w.detach().double().numpy() for n, w in layer.named_parameters()}


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(values):
    return np.exp(values) / np.exp(values).sum()


def affine(layer, values):
    w = numbers(layer)
    return values @ w["weight"].T + w["bias"]


def perceptron(layer, values):
    """Two linear layers with a ReLU between them."""
    return affine(layer.leave, np.maximum(affine(layer.enter, values), 0))


def lstm_step(gates, cell):
    """State and cell from gates in torch's order."""
    enter, forget, candidate, leave = np.split(gates, 4)
    cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
    return sigmoid(leave) * np.tanh(cell), cell


def lstm_states(lstm, steps):
    """States of an LSTM of one layer in one direction."""
    w = numbers(lstm)
    hidden = cell = np.zeros(w["weight_hh_l0"].shape[1])
    states = []
    for x in steps:
        gates = w["weight_ih_l0"] @ x + w["bias_ih_l0"] + w["bias_hh_l0"]
        hidden, cell = lstm_step(gates + w["weight_hh_l0"] @ hidden, cell)
        states.append(hidden)
    return np.array(states)


def aligned_batch(sizes, lengths, padded=0):
    """Right-padded sequences of aligned modalities, zero beyond their lengths."""
    rng = np.random.default_rng(0)
    sequences = {}
    for name, size in sizes.items():
        rows = torch.zeros(len(lengths), max(lengths) + padded, size)
        for row, n in zip(rows, lengths):
            row[:n] = torch.from_numpy(rng.normal(size=(n, size)))
        sequences[name] = rows
    return sequences, {name: torch.tensor(lengths) for name in sizes}
