"""Smaller and faster models: structured pruning, distillation, quantization, each held to a budget in dB."""
