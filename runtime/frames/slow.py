"""Why a camera delivers fewer frames than it was asked for."""

SLOW_SHARE = 0.9  # of the asked rate


def slow_camera(wanted: str, measured_fps: float, kind: str, pixel_format: str, power_mode: str) -> str:
    """A sentence with the likely causes and what to do, the likeliest first.

    ``wanted`` is such as "asked for 30 FPS".

    The rates with and without a TX2's power mode are of a public log of a USB camera (848x480: 18.5 FPS in the mode
    that a TX2 boots in, 29.8 with all cores and fixed clocks).
    """
    causes = []
    if kind == "v4l2" and pixel_format not in ("MJPG", "BGR", "NV12"):
        causes.append("uncompressed {} does not fit through USB at this size: ?format=mjpg".format(pixel_format))
    if power_mode and not power_mode.startswith("MAXN"):
        causes.append(
            "power mode {}: switch to MAXN (sudo nvpmodel -m 0 on a TX2), then sudo jetson_clocks".format(power_mode)
        )
    if kind == "v4l2":
        causes.append(
            "in the dark a camera exposes longer: v4l2-ctl --list-ctrls, then --set-ctrl exposure_auto_priority=0"
        )
    if kind == "rtsp":
        causes.append("the camera's own settings have its rate; a weak network delivers less")
    return "{}, the camera delivers {:.1f}{}".format(
        wanted, measured_fps, ": " + "; or ".join(causes) if causes else ""
    )
