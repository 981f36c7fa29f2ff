"""Every layout by its name."""

from unblur.ingest.layouts.averaged import AVERAGED
from unblur.ingest.layouts.bsd import BSD
from unblur.ingest.layouts.dvd import DVD
from unblur.ingest.layouts.gopro import GOPRO, GOPRO_GAMMA
from unblur.ingest.layouts.hide import HIDE
from unblur.ingest.layouts.koehler import KOEHLER
from unblur.ingest.layouts.layout import Layout
from unblur.ingest.layouts.pairs import PAIRS
from unblur.ingest.layouts.photos import PHOTOS
from unblur.ingest.layouts.realblur import REALBLUR_J, REALBLUR_R
from unblur.ingest.layouts.reds import REDS
from unblur.ingest.layouts.rsblur import RSBLUR
from unblur.ingest.layouts.videos import VIDEO_FILES

_PUBLISHED = (GOPRO, GOPRO_GAMMA, HIDE, REALBLUR_J, REALBLUR_R, RSBLUR, REDS, DVD, BSD, KOEHLER)
_OWN = (PAIRS, PHOTOS, VIDEO_FILES, AVERAGED)

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (*_PUBLISHED, *_OWN)}
