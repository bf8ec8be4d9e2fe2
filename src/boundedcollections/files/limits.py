"""How much a search looks at before it calls its answer incomplete."""

from typing import Final

MOST_HITS: Final = 1_000
"""So many names of a tier are chosen from. If there are fewer, the next query looks at no others."""

MOST_CANDIDATES: Final = 48
"""So many files of a tier are scored, or twice as many as are wanted if that is more."""

MOST_CHECKED: Final = 250
"""So many files of a tier may lack the rest of a query, or have it in another case."""

MOST_BEHIND: Final = 150
"""So many names that hold all but the beginning of a query, which a folder must hold."""

LEAST_BEHIND: Final = 3
"""What is shorter than so many bytes is held by too many names to look at them all."""

MOST_LISTED: Final = 4
"""So many files of each folder that holds the query."""

MOST_FOLDERS: Final = 300
"""So many folders are looked into."""

MOST_QUICK_FOLDERS: Final = 128
"""So many for the first answer."""

MOST_KEPT: Final = 16
"""So many finds of folders are kept for the next query."""

MOST_BEGUN: Final = 1_000
"""So many folders are looked at whose last component begins as is asked for."""

MOST_NAMES: Final = 10_000
"""So many names in them."""

MOST_QUICK_NAMES: Final = 3_000
"""So many for the first answer."""

MOST_BLOCKS: Final = 24
"""So many blocks of a large folder are read for names that begin as asked, for each spelling."""

MOST_ENDS: Final = 400
"""So many files, at most, are called as a query ends, for their folders to be looked at."""

MOST_ENTERED: Final = 32
"""So many folders, at most, are looked into for them instead."""

MOST_SPLITS: Final = 24
"""A query is parted between folder and name in so many places."""

USUAL_PART: Final = 6
"""So many letters are what few enough folders hold, as a rule."""
