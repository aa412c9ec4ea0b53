"""The demo runs where export does: Python 3.10 or newer with torch."""

import sys

collect_ignore_glob = ["test_*"] if sys.version_info < (3, 10) else []
