"""A shared library that was loaded too late, as it happens on aarch64, and the line that has it loaded first.

Most often it is libgomp (opencv#14884). torch and scikit-learn bring a libgomp of their own, and GStreamer's plugins
may fail for libGLdispatch (jetson-containers#312), so the library is taken from what the loader says.
"""

import re

# "ImportError: /usr/lib/aarch64-linux-gnu/libgomp.so.1: cannot allocate memory in static TLS block"
_LOADER = re.compile(r"(/[A-Za-z0-9_./+-]+\.so[0-9.]*): cannot allocate memory in static TLS block")
_MARK = "static TLS"
_USUAL = "/usr/lib/aarch64-linux-gnu/libgomp.so.1"


def preload(words: str) -> str:
    """``export LD_PRELOAD=...`` where a loader's words are of such a library; "" for others.

    Args:
        words: of which nothing but paths without blanks gets into the line, which people type.
    """
    if _MARK.lower() not in words.lower():
        return ""
    return "export LD_PRELOAD=" + (":".join(dict.fromkeys(_LOADER.findall(words))) or _USUAL)
