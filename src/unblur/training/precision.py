"""Number formats of training: bf16 where the hardware computes in it, fp32 elsewhere."""

import torch


def resolve_precision(wanted: str, accelerator: str) -> str:
    """Return Lightning's name of the precision; `auto` is bf16-mixed on hardware with bf16 instructions, else 32-true.

    bf16 emulated in software is slower than fp32, hence the question to the CPU.
    """
    if wanted != "auto":
        return wanted
    return "bf16-mixed" if _has_bf16(accelerator) else "32-true"


def _has_bf16(accelerator: str) -> bool:
    if accelerator in {"gpu", "cuda"} or (accelerator == "auto" and torch.cuda.is_available()):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator in {"cpu", "auto"}:
        cpu = torch.cpu.get_capabilities()
        return bool(cpu.get("avx512_bf16") or cpu.get("amx_bf16") or cpu.get("amx_tile") or cpu.get("arm_bf16"))
    return False
