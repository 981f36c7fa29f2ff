"""What PyTorch raises while a network runs, such as for want of memory, as one line that the user can mend."""

from collections.abc import Iterator
from contextlib import contextmanager

from unblur.errors import UnblurError


@contextmanager
def told_in_one_line(name: str, given: str, mend: str = "try a smaller --tile") -> Iterator[None]:
    """Turn PyTorch's errors into `UnblurError`.

    Args:
        name: what the message calls the model.
        given: what the model is run on.
        mend: what the user can do.

    Raises:
        UnblurError: the network failed, or there was not enough memory, on the CPU or the GPU.
    """
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one, and so is what the CPU's allocator raises
        msg = f"{name}: fails on {given} ({' '.join(str(error).split())[:200]}); {mend}"
        raise UnblurError(msg) from error
