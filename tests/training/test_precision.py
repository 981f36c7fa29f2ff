"""bf16 only where the hardware computes in it."""

import torch

from unblur.training.precision import resolve_precision


def test_a_given_precision_is_kept():
    assert resolve_precision("16-mixed", "gpu") == "16-mixed"


def test_auto_on_a_cpu_follows_its_instructions():
    cpu = torch.cpu.get_capabilities()
    native = any(cpu.get(name) for name in ("avx512_bf16", "amx_bf16", "amx_tile", "arm_bf16"))
    assert resolve_precision("auto", "cpu") == ("bf16-mixed" if native else "32-true")


def test_auto_on_an_accelerator_without_bf16_is_fp32():
    if not torch.cuda.is_available():
        assert resolve_precision("auto", "gpu") == "32-true"
    assert resolve_precision("auto", "mps") == "32-true"
