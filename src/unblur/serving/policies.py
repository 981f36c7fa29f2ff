"""What a browser may do with an answer: the headers of safety, and the Content-Security-Policy of each kind."""

import base64
import hashlib
import re
from importlib.resources import files

SECURITY = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
NOTHING = b"default-src 'none'; frame-ancestors 'none'"


def _style_of_explanation() -> str:
    """Return the style of an explanation's page as a policy names it: by its hash, so that no other is let in."""
    page = files("unblur.explaining").joinpath("page.html.j2").read_text(encoding="utf-8")
    style = "".join(re.findall("<style>(.*?)</style>", page, re.DOTALL))
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


STYLE = _style_of_explanation()
OF_EXPLANATION = f"{NOTHING.decode()}; img-src data:; style-src {STYLE}; sandbox".encode()
# The page has explanations in frames, which its own policy holds for as well.
OF_PAGE = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {STYLE}; img-src blob: data:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
).encode()
