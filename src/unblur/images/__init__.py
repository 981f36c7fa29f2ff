"""Pictures and videos as they are read and written, whatever their format."""

import warnings

# What Pillow remarks about damaged metadata is told in our notes, if anything of it is left out.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
