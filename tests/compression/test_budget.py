import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from unblur.compression.budget import Cost, Judge, keep_budget, sensitivity
from unblur.compression.graph_parts import quantizable
from unblur.compression.quantize import quantize


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    sharp = 0.3 + 0.4 * rng.random((1, 3, 32, 40), dtype=np.float32)  # away from where values are clipped
    return [(sharp + 0.05, sharp)]


@pytest.fixture
def judge(graph, pairs):
    return Judge(graph, pairs, 1)


def with_weight(graph, name, change):
    copied = onnx.ModelProto()
    copied.CopyFrom(graph)
    for each in copied.graph.initializer:
        if each.name == name:
            each.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(each)), name))
    return copied


def test_a_graph_costs_nothing_against_itself(graph, judge):
    cost = judge(graph)
    assert cost.lost_db == 0
    assert cost.colour_shift == 0
    assert cost.within(0.0, 0.0)


def test_a_shift_of_one_channel_is_seen_in_steps_of_255(graph, judge):
    red = np.array([2 / 255, 0, 0], np.float32)
    cost = judge(with_weight(graph, "ending.bias", lambda bias: bias + red))
    assert cost.colour_shift == pytest.approx(2, abs=0.01)


def test_figures_that_are_no_numbers_are_not_within():
    assert not Cost(float("nan"), 0.0).within(1.0, 1.0)
    assert not Cost(0.0, float("nan")).within(1.0, 1.0)


def test_the_part_that_was_broken_is_the_worst_and_goes_back_first(graph, judge):
    layers = quantizable(graph)
    rng = np.random.default_rng(1)
    int8 = quantize(graph, layers, [{"blur": rng.random((1, 3, 32, 32), dtype=np.float32)}])
    victim = "ups.0.0"
    conv = next(node for node in int8.graph.node if layers.get(node.name) == victim)
    scale = next(node for node in int8.graph.node if conv.input[1] in node.output).input[1]
    broken = with_weight(int8, scale, lambda value: value * 8)  # its weights are eight times as large
    parts = sensitivity(broken, graph, layers, judge)
    assert parts[0].part == victim
    assert parts[0].lost_db > 4 * max(abs(part.lost_db) for part in parts[1:])
    assert sum(part.layers for part in parts) == len(layers)

    order = [part.part for part in parts]
    limit = parts[0].lost_db / 2
    graph_kept, floats = keep_budget(broken, graph, layers, order, lambda each: judge(each).lost_db <= limit)
    assert floats == [victim]
    assert judge(graph_kept).lost_db <= limit
    assert keep_budget(broken, graph, layers, order, lambda each: False) is None
