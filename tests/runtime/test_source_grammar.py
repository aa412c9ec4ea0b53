"""How a source is written: what each form means, and what is refused with which words."""

import os
import re

import pytest

from ccc_jetson.clean_text import message_without_secrets
from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.source_grammar import (
    CSI_LINE,
    LINES,
    RTSP_LINE,
    SYNTHETIC_LINE,
    V4L2_LINE,
    CsiCamera,
    PicturePaths,
    RtspStream,
    SyntheticScene,
    V4l2Camera,
    VideoPath,
    camera_source,
    csi_source,
    is_live,
    kind_of,
    parse_source,
    parse_sources,
    rtsp_source,
)


@pytest.mark.parametrize("text, expected", [
    ("0", V4l2Camera("0")),
    ("/dev/video0", V4l2Camera("/dev/video0")),
    ("/dev/v4l/by-id/usb-Cam", V4l2Camera("/dev/v4l/by-id/usb-Cam")),
    ("2?format=yuyv", V4l2Camera("2", format="yuyv")),
    ("v4l2://1", V4l2Camera("1")),
    ("v4l2:///dev/video0?format=MJPG&size=640x480&fps=29.97", V4l2Camera("/dev/video0", (640, 480), 29.97, "mjpg")),
    ("V4L2:///dev/video0?format=any", V4l2Camera("/dev/video0", format="any")),
    ("csi://0", CsiCamera(0)),
    ("csi://0?", CsiCamera(0)),
    ("csi://1?size=1280x720&fps=60&flip=2", CsiCamera(1, (1280, 720), 60.0, 2)),
    ("rtsp://cam/stream1", RtspStream("rtsp://cam/stream1")),
    ("rtsps://u:p@10.0.0.7:322/", RtspStream("rtsps://u:p@10.0.0.7:322/")),
    ("rtsp://[fe80::1]:554/x", RtspStream("rtsp://[fe80::1]:554/x")),
    # the camera's own parameters stay its own
    ("rtsp://cam/s?channel=1&subtype=0#transport=udp&latency=200&codec=h265",
     RtspStream("rtsp://cam/s?channel=1&subtype=0", "udp", 200, "h265")),
    ("drive.mp4", VideoPath("drive.mp4")),
    ("no-suffix", VideoPath("no-suffix")),
    ("file:///tmp/my%20drive.mp4", VideoPath("/tmp/my drive.mp4")),
    ("frames/", PicturePaths(("frames/",))),
    ("a.PNG", PicturePaths(("a.PNG",))),
    ("file:///tmp/a.jpeg", PicturePaths(("/tmp/a.jpeg",))),
    ("synthetic://", SyntheticScene()),
    ("synthetic://?size=640x480&fps=15&frames=9", SyntheticScene((640, 480), 15.0, 9, False)),
    ("synthetic://?live=1", SyntheticScene(frames=None, live=True)),
    ("synthetic://?live=1&frames=5", SyntheticScene(frames=5, live=True)),
])  # fmt: skip
def test_what_a_source_means(text, expected):
    assert parse_source(text) == expected
    assert type(parse_source(text)) is type(expected)


def test_a_folder_needs_no_slash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("frames")
    assert parse_source("frames") == PicturePaths(("frames",))


def test_every_line_of_the_help_is_understood():
    for line in LINES:
        form = line.split(",")[0].split(" ")[0]
        first_of_each_choice = re.sub(r"\|\w+", "", form).replace("0..7", "7")
        print(first_of_each_choice)
        assert kind_of(parse_source(first_of_each_choice)) in ("v4l2", "csi", "rtsp", "video", "synthetic")


@pytest.mark.parametrize("text, message, hint", [
    ("rtps://cam/x", "unknown scheme 'rtps'; did you mean rtsps?", RTSP_LINE),
    ("http://cam/x.mjpg", "unknown scheme 'http'; did you mean rtsp? expected one of v4l2, csi", V4L2_LINE),
    ("", "an empty source", V4L2_LINE),
    ("csi://0?sise=3x4", "unknown parameter 'sise'; did you mean size? expected one of size, fps, flip", CSI_LINE),
    ("csi://0?size", "size=: expected WIDTHxHEIGHT", CSI_LINE),
    ("csi://0?size=1280x721", "size=1280x721: expected an even width and an even height", CSI_LINE),
    ("csi://0?size=0x0", "expected WIDTHxHEIGHT", CSI_LINE),
    ("csi://0?size=99999x2", "expected WIDTHxHEIGHT", CSI_LINE),
    ("csi://0?fps=30&fps=60", "fps is given twice", CSI_LINE),
    ("csi://0?flip=8", "flip=8: expected a whole number from 0 to 7", CSI_LINE),
    ("csi://0?&", "unknown parameter ''", CSI_LINE),
    ("csi://16", "names no CSI camera; expected a number from 0 to 15", CSI_LINE),
    ("csi://", "names no CSI camera", CSI_LINE),
    ("csi://0/1", "names no CSI camera", CSI_LINE),
    ("csi://0 ! filesink location=x", "names no CSI camera", CSI_LINE),
    ("v4l2://", "names no device", V4L2_LINE),
    ("v4l2://video0", "names no device", V4L2_LINE),
    ("0?format=mjpeg", "format=mjpeg: did you mean mjpg? expected one of mjpg, yuyv, any", V4L2_LINE),
    ("0?fps=0", "fps=0: expected frames per second", V4L2_LINE),
    ("0?fps=nan", "expected frames per second", V4L2_LINE),
    ("0?fps=1e9", "expected frames per second", V4L2_LINE),
    ("0?fps=fast", "expected frames per second", V4L2_LINE),
    ("rtsp://", "names no host", RTSP_LINE),
    ("rtsp:///x", "names no host", RTSP_LINE),
    ("rtsp://cam:port/x", "names no host", RTSP_LINE),
    ("rtsp://cam:99999/x", "names no host", RTSP_LINE),
    ("rtsp://cam/x#latency=-1", "latency=-1: expected a whole number from 0 to 10000", RTSP_LINE),
    ("rtsp://cam/x#transport=ftp", "transport=ftp: did you mean tcp? expected one of tcp, udp", RTSP_LINE),
    ("rtsp://cam/x#codec=vp9", "expected one of h264, h265", RTSP_LINE),
    ("rtsp://cam/x#size=3x4", "unknown parameter 'size'", RTSP_LINE),
    ('rtsp://cam/x" ! filesink location="y', "does not belong into a URL", "write it as %22"),
    ("rtsp://cam/x y", "' ' does not belong into a URL", "write it as %20"),
    ("rtsp://cam/x\\y", "does not belong into a URL", "write it as %5C"),
    ("rtsp://cam/'x", "does not belong into a URL", "write it as %27"),
    ("rtsp://cam/x\n", "does not belong into a URL", "write it as %0A"),
    ("rtsp://cam/\u00e4", "does not belong into a URL", "write it as %C3%A4"),
    ("rtsp://a..b/x", "names no host", RTSP_LINE),
    ("rtsp://" + 64 * "a" + ".b/x", "names no host", RTSP_LINE),
    ("rtsp://u:p@ss@cam/x", "has more than one at sign", "write it as %40"),
    ("rtsp://cam/x@2", "or one behind the host", "write it as %40"),
    ("file://host/x.mp4", "three slashes", "file:///home/me/drive.mp4"),
    ("file:///tmp/a%00b.mp4", "no file's name has a %00", "file:///home/me/drive.mp4"),
    ("synthetic://road", "a drawn scene has no name", SYNTHETIC_LINE),
    ("synthetic://?frames=0", "frames=0: expected a whole number from 1", SYNTHETIC_LINE),
    ("synthetic://?live=yes", "live=yes: expected a whole number from 0 to 1", SYNTHETIC_LINE),
])  # fmt: skip
def test_what_is_refused_says_what_was_expected_and_shows_the_line(text, message, hint):
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    print(caught.value, caught.value.hint)
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert str(caught.value).isprintable()


def test_several_pictures_are_one_source_and_nothing_else_is():
    assert parse_sources(["a.png", "frames/"]) == PicturePaths(("a.png", "frames/"))
    assert parse_sources(["0"]) == V4l2Camera("0")
    with pytest.raises(UsageError, match=r"several sources, and drive\.mp4 is none of pictures"):
        parse_sources(["a.png", "drive.mp4"])


def test_shorthands_mean_what_the_grammar_means():
    assert camera_source("0?format=yuyv") == parse_source("v4l2://0?format=yuyv")
    assert camera_source("v4l2://0") == V4l2Camera("0")
    assert camera_source("drive.mp4") == V4l2Camera("drive.mp4")  # which is found not to be one when it is opened
    assert csi_source("0?flip=2") == csi_source("csi://0?flip=2") == CsiCamera(0, flip=2)
    assert rtsp_source("rtsp://cam/x") == RtspStream("rtsp://cam/x")
    with pytest.raises(UsageError, match="--camera takes /dev/videoN or N, this is csi://0") as caught:
        camera_source("csi://0")
    assert caught.value.hint == "without the option: ccc-run csi://0"
    with pytest.raises(UsageError, match="names no CSI camera"):
        csi_source("rtsp://cam/x")
    with pytest.raises(UsageError, match="names no host"):
        rtsp_source("drive.mp4")


@pytest.mark.parametrize("host", ["cam", "cam.", "a.b-c.d_e", "127.0.0.1", "[::1]", 63 * "a" + ".b"])
def test_hosts_that_may_be_asked(host):
    assert parse_source("rtsp://{}/x".format(host)).url == "rtsp://{}/x".format(host)


def test_sources_are_live_or_not():
    live = [parse_source(text) for text in ("0", "csi://0", "rtsp://cam", "synthetic://?live=1")]
    others = [parse_source(text) for text in ("drive.mp4", "frames/", "synthetic://")]
    assert all(is_live(each) for each in live) and not any(is_live(each) for each in others)
    assert [kind_of(each) for each in live + others] == [
        "v4l2", "csi", "rtsp", "synthetic", "video", "pictures", "synthetic"
    ]  # fmt: skip


def test_what_people_see_of_a_source_is_the_grammar_again():
    for text in (
        "/dev/video0",
        "csi://1",
        "rtsp://cam/x",
        "drive.mp4",
        "frames/",
        "synthetic://?size=64x32&fps=9&live=1",
    ):
        assert parse_source(text).shown == text


def test_a_password_is_in_no_text_of_its_source():
    stream = parse_source("rtsp://me:s%40cret@cam/x#transport=udp")
    assert stream.url == "rtsp://me:s%40cret@cam/x"
    for text in (stream.shown, repr(stream), str(stream), stream.hide("401 for me:s@cret at " + stream.url)):
        assert "cret" not in text
    assert "401" in stream.hide("401")


@pytest.mark.parametrize("text, password, url", [
    ("rtsp://me@cam/x#latency=50", "s@c:r/e t", "rtsp://me:s%40c%3Ar%2Fe%20t@cam/x"),
    ("rtsp://me@[fe80::1]:8554/x", "\u00e9", "rtsp://me:%C3%A9@[fe80::1]:8554/x"),
    ("rtsp://me:own@cam/x", "other", "rtsp://me:own@cam/x"),
    ("rtsp://me:@cam/x", "other", "rtsp://me:@cam/x"),
    ("rtsp://cam/x", "other", "rtsp://cam/x"),
    ("rtsp://me@cam/x", "", "rtsp://me@cam/x"),
])  # fmt: skip
def test_the_password_of_a_user_may_come_from_a_variable(monkeypatch, text, password, url):
    monkeypatch.setitem(os.environb, b"CCC_RTSP_PASSWORD", password.encode("utf-8"))
    stream = parse_source(text)
    assert stream.url == url
    if password:
        for shown in (stream.shown, repr(stream), stream.hide(stream.url)):
            assert password not in shown
    if password == "s@c:r/e t":
        assert stream.hide("401 for me:s@c:r/e t") == "401 for me:***"


@pytest.mark.parametrize("path", [
    "user=admin_password=hunter2_channel=1_stream=0.sdp", "x?pw=hunter2", "x?auth=hunter2", "x?key=hunter2",
    "x?secret=hunter2&n=1",
])  # fmt: skip
def test_what_a_path_says_of_secrets_is_in_no_text_of_its_source(path):
    stream = parse_source("rtsp://127.0.0.1:1/" + path)
    for text in (stream.shown, repr(stream), stream.hide("no stream at /" + path), stream.hide("at " + stream.url)):
        assert "hunter2" not in text


def test_hiding_a_password_leaves_the_sentence():
    with pytest.raises(UsageError) as caught:
        parse_source("rtsp://u:p@ss@127.0.0.1/x")
    assert message_without_secrets(str(caught.value)).startswith("rtsp://***@127.0.0.1/x: has more than one at sign")


@pytest.mark.parametrize("text", [
    "rtsp://me:se cret@cam/x", "rtsp://me:se\"cret@cam", "rtps://me:secret@cam/x", "rtsp://me:sec@ret@cam/x",
    "rtsp://me:sec#ret@cam/x", "rtsp://me:sec/ret@cam/x", "rtsp://me:secret@/x", "rtsp://me:secret@cam:x/",
])  # fmt: skip
def test_a_password_is_in_no_error(text):
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    print(caught.value)
    assert "ret" not in str(caught.value) and "sec" not in str(caught.value)
