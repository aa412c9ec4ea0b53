"""The benchmarks run where export does: Python 3.10 or newer with torch. They are scripts, imported by their names."""

import os
import sys

collect_ignore_glob = ["test_*"] if sys.version_info < (3, 10) else []

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "benchmarks"))
