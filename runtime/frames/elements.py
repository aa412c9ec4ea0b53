"""Which of GStreamer's elements this machine has: a pipeline that lacks its first one waits for ever."""

import ctypes
from typing import Any, List

_LIBRARY = "libgstreamer-1.0.so.0"


def missing_elements(pipeline: str) -> List[str]:
    """The pipeline's elements that are not installed; none where GStreamer cannot be asked."""
    try:
        library: Any = ctypes.CDLL(_LIBRARY)
    except OSError:
        return []
    library.gst_element_factory_find.restype = ctypes.c_void_p
    library.gst_element_factory_find.argtypes = [ctypes.c_char_p]
    library.gst_object_unref.argtypes = [ctypes.c_void_p]
    # OpenCV, which has the same library, does so as well; it may be done more than once
    if not library.gst_init_check(None, None, None):
        return []
    missing = []
    for name in element_names(pipeline):
        factory = library.gst_element_factory_find(name.encode("ascii"))
        if factory:
            library.gst_object_unref(factory)
        else:
            missing.append(name)
    return missing


def element_names(pipeline: str) -> List[str]:
    """The elements of one of our own pipelines, in order: ``a x="1 ! 2" ! video/x-raw ! b`` -> a, b."""
    names = []
    quoted, escaped, piece = False, False, ""
    for letter in pipeline + "!":
        if letter == "!" and not quoted:
            words = piece.split()
            if words and "/" not in words[0]:  # caps have a media type
                names.append(words[0])
            piece = ""
            continue
        quoted ^= letter == '"' and not escaped
        escaped = letter == "\\" and not escaped
        piece += letter
    return names
