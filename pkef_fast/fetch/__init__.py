"""Public data sets from their repositories: where they lie, downloads, checksums.

Nothing whose checksum is not known beforehand is ever used.

>>> from pkef_fast.fetch import SOURCES
>>> SOURCES["jd"].repository
'YMADE8/VCGAE'
"""

from .fetch import Fetched, fetch
from .sources import SOURCES, File, Source

__all__ = ["SOURCES", "Fetched", "File", "Source", "fetch"]
