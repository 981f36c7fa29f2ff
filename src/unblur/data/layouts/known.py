"""Every layout by its name."""

from unblur.data.layouts.averaged import AVERAGED
from unblur.data.layouts.bsd import BSD
from unblur.data.layouts.dvd import DVD
from unblur.data.layouts.gopro import GOPRO, GOPRO_GAMMA
from unblur.data.layouts.hide import HIDE
from unblur.data.layouts.koehler import KOEHLER
from unblur.data.layouts.layout import Layout
from unblur.data.layouts.pairs import PAIRS
from unblur.data.layouts.photos import PHOTOS
from unblur.data.layouts.realblur import REALBLUR_J, REALBLUR_R
from unblur.data.layouts.reds import REDS
from unblur.data.layouts.rsblur import RSBLUR
from unblur.data.layouts.videos import VIDEO_FILES

_PUBLISHED = (GOPRO, GOPRO_GAMMA, HIDE, REALBLUR_J, REALBLUR_R, RSBLUR, REDS, DVD, BSD, KOEHLER)
_OWN = (PAIRS, PHOTOS, VIDEO_FILES, AVERAGED)

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (*_PUBLISHED, *_OWN)}
