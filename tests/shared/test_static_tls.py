"""The library that was loaded too late is the one that the line loads first."""

import pytest

from ccc_jetson.static_tls import preload

TAIL = ": cannot allocate memory in static TLS block"


@pytest.mark.parametrize(
    ("words", "library"),
    [
        ("ImportError: /usr/lib/aarch64-linux-gnu/libgomp.so.1" + TAIL, "/usr/lib/aarch64-linux-gnu/libgomp.so.1"),
        (
            "OSError: /home/me/.local/lib/python3.6/site-packages/torch/lib/libgomp-d22c30c5.so.1" + TAIL,
            "/home/me/.local/lib/python3.6/site-packages/torch/lib/libgomp-d22c30c5.so.1",
        ),
        (
            "GStreamer-WARNING **: Failed to load plugin '/usr/lib/gstreamer-1.0/libgstnvarguscamerasrc.so': "
            "/lib/aarch64-linux-gnu/libGLdispatch.so.0" + TAIL,
            "/lib/aarch64-linux-gnu/libGLdispatch.so.0",
        ),
        ("/a/libone.so.1{0}\n/b/libtwo.so{0}\n/a/libone.so.1{0}".format(TAIL), "/a/libone.so.1:/b/libtwo.so"),
    ],
)
def test_the_library_that_the_loader_names_is_loaded_first(words, library):
    assert preload(words) == "export LD_PRELOAD=" + library


def test_libgomp_is_taken_where_none_is_named_by_its_path():
    assert preload("libgomp.so.1" + TAIL) == "export LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libgomp.so.1"


def test_a_name_that_a_shell_would_split_does_not_get_into_the_line():
    assert preload("/tmp/$(reboot)/x y.so.1" + TAIL) == "export LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libgomp.so.1"


def test_other_words_have_no_such_line():
    assert preload("libcuda.so.1: cannot open shared object file: No such file or directory") == ""
