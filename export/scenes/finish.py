"""From the painted street to a photograph: reflections, glare, rain, lens, exposure, noise and compression."""

import math

import numpy as np

from ccc_jetson.export.scenes.canvas import Canvas
from ccc_jetson.export.scenes.colours import Colour, colour_of, scaled
from ccc_jetson.export.scenes.noise import noise_tile

SKY = 10
IGNORE = 255


def _glow(frame: np.ndarray, labels: np.ndarray, canvas: Canvas) -> None:
    """Add the halo of lamps, and of a low sun, to the frame in place; a hidden sun keeps its wide halo only."""
    import cv2

    light, camera = canvas.light, canvas.camera
    quarter = (max(camera.width // 4, 1), max(camera.height // 4, 1))
    halo = np.zeros((quarter[1], quarter[0], 3), np.uint8)
    found = False
    if light.weather == "low sun" and light.sun_s > 0:
        u = camera.u0 + camera.fx * light.sun_t / light.sun_s
        v = camera.v0 - camera.fy * light.sun_y / light.sun_s
        row, column = int(np.clip(v, 0, camera.height - 1)), int(np.clip(u, 0, camera.width - 1))
        hidden = labels[row, column] != SKY
        for radius, colour in (
            (0.6, (18, 26, 34)),
            (0.25, (45, 65, 80)),
            (0.06, (130, 170, 190)),
            (0.02, (190, 230, 240)),
        ):
            if hidden and radius < 0.2:
                continue
            layer = np.zeros_like(halo)
            cv2.circle(layer, (int(u / 4), int(v / 4)), max(int(radius * quarter[0]), 1), colour, -1)
            size = max(int(radius * quarter[0] * 0.6), 1) * 2 + 1
            halo = cv2.add(halo, cv2.blur(layer, (size, size)))
        found = True
    if light.lamps > 0.3:
        points = np.zeros_like(halo)
        for u, v, radius, shine in canvas.glows:
            x, y = int(u / 4), int(v / 4)
            if -9 < x < quarter[0] + 9 and -9 < y < quarter[1] + 9:
                tone = scaled(shine, light.lamps)
                cv2.circle(points, (x, y), max(int(radius / 4), 1), tone, -1)
                found = True
        size = max(quarter[0] // 24, 1) * 2 + 1
        wide = cv2.blur(cv2.blur(points, (size, size)), (size, size))
        halo = cv2.add(halo, cv2.add(cv2.multiply(wide, (2.2, 2.2, 2.2, 0)), cv2.blur(points, (3, 3))))
    if found:
        cv2.add(frame, cv2.resize(halo, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR), dst=frame)


def _reflect(frame: np.ndarray, labels: np.ndarray, canvas: Canvas, horizon: int) -> None:
    """Mirror what stands on a wet road in it, blurred and only where the road is seen."""
    import cv2

    height, width = labels.shape
    rows = min(height - horizon, horizon)
    if rows < 8:
        return
    upper = cv2.resize(frame[horizon - rows : horizon], (width // 4, max(rows // 4, 1)), interpolation=cv2.INTER_AREA)
    mirror = cv2.resize(cv2.blur(upper[::-1], (5, 7)), (width, rows), interpolation=cv2.INTER_LINEAR)
    region = frame[horizon : horizon + rows]
    fade = np.linspace(1, 0, rows, dtype=np.float32)[:, None] ** 0.7 * (0.6 * canvas.light.wet * 128)
    fade = np.ascontiguousarray(np.broadcast_to(fade[..., None], (rows, width, 3))).astype(np.uint8)
    mixed = cv2.add(cv2.multiply(region, 128 - fade, scale=1 / 128), cv2.multiply(mirror, fade, scale=1 / 128))
    flat = cv2.compare(labels[horizon : horizon + rows], 1, cv2.CMP_LE)
    cv2.copyTo(mixed, flat, region)


def _rain(frame: np.ndarray, rng: np.random.Generator, strength: float) -> None:
    """Streaks of falling drops."""
    import cv2

    height, width = frame.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    count = int(260 * strength)
    x, y = rng.uniform(0, width, count), rng.uniform(-0.1 * height, height, count)
    length = rng.uniform(0.02, 0.09, count) * height
    lean = rng.normal(0.05, 0.06)
    for a, b, c in zip(x.tolist(), y.tolist(), length.tolist(), strict=True):
        cv2.line(layer, (int(a), int(b)), (int(a + lean * c), int(b + c)), 70, 1)
    layer = cv2.blur(layer, (1, 3))
    cv2.add(frame, cv2.merge([layer, layer, layer]), dst=frame)


def _tone(rng: np.random.Generator, weather: str) -> np.ndarray:
    """Exposure, white balance, contrast and gamma as a table (256, 1, 3) uint8."""
    exposure = math.exp(rng.normal(0, 0.16))
    if weather == "night":
        exposure *= rng.uniform(1.0, 1.7)
    balance = np.exp(rng.normal(0, 0.045, 3))
    gamma = math.exp(rng.normal(0, 0.14))
    lift, contrast = rng.uniform(-6, 16), rng.uniform(0.82, 1.15)
    x = np.arange(256, dtype=np.float64)[:, None] / 255
    y = (x * exposure * balance) ** gamma
    y = y / (1 + 0.12 * np.maximum(y - 0.7, 0) * 3)  # highlights roll off
    y = (y - 0.5) * contrast + 0.5
    return np.clip(y * 255 + lift, 0, 255).astype(np.uint8).reshape(256, 1, 3)


def finish(
    canvas: Canvas, look: np.random.Generator, moment: np.random.Generator, horizon: int, bonnet: Colour | None
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the canvas into frame (H, W, 3) and labels (H, W).

    Args:
        canvas: the painted street.
        look: generator of what stays the same in a clip (camera, exposure, lens).
        moment: generator of what changes with every frame (noise, drops).
        horizon: first row of the ground.
        bonnet: colour of the own car's bonnet at the lower edge, or None; it is labelled 255.
    """
    import cv2

    camera, light = canvas.camera, canvas.light
    height, width = camera.height, camera.width
    frame = cv2.cvtColor(canvas.pixels, cv2.COLOR_BGRA2BGR)
    labels = cv2.extractChannel(canvas.pixels, 3)
    if light.wet > 0:
        _reflect(frame, labels, canvas, horizon)
    if bonnet is not None:
        tone = colour_of(min(c * s, 255.0) for c, s in zip(bonnet, light.shade(0, 0, 1), strict=True))
        centre, axes = (width // 2, int(height * 1.02)), (int(width * 0.48), int(height * 0.13))
        cv2.ellipse(frame, centre, axes, 0, 0, 360, tone, -1)
        inner = (axes[0] * 3 // 4, axes[1] * 3 // 4)
        cv2.ellipse(frame, centre, inner, 0, 0, 360, scaled(tone, 1.15, most=255.0), -1)
        cv2.ellipse(labels, centre, axes, 0, 0, 360, IGNORE, -1)
    _glow(frame, labels, canvas)
    if light.wet > 0 and light.weather == "rain":
        _rain(frame, moment, light.wet)

    x = np.linspace(-1, 1, 48, dtype=np.float32)[None]
    y = np.linspace(-1, 1, 24, dtype=np.float32)[:, None]
    gain = 1 - look.uniform(0, 0.28) * (x * x * 0.6 + y * y * 0.4)
    if light.weather == "night":
        gain = gain * (0.8 + 0.9 * np.exp(-((x * 1.6) ** 2) - ((y - 0.55) * 2.2) ** 2))
    gain = cv2.resize(np.clip(gain * 128, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    frame = cv2.multiply(frame, cv2.merge([gain, gain, gain]), scale=1 / 128)
    frame = cv2.LUT(frame, _tone(look, light.weather))

    sigma = look.uniform(0.45, 0.75) * max(height / 512, 0.75)
    if look.random() < 0.12:
        sigma *= look.uniform(1.3, 2.2)
    frame = cv2.GaussianBlur(frame, (3, 3) if sigma < 0.9 else (5, 5), sigma)
    grain = look.uniform(1.0, 5.0) + (look.uniform(2, 7) if light.weather in ("night", "dusk") else 0)
    repeats = max(-(-height // 512), -(-width * 3 // 512)) + 1
    tile = noise_tile(512, 1, 21, repeats)
    oy, ox = moment.integers(0, 512, 2)
    noise = tile[oy : oy + height, ox : ox + width * 3]
    weight = grain / 45
    flat = frame.reshape(height, width * 3)
    frame = cv2.addWeighted(flat, 1, np.ascontiguousarray(noise), weight, -128 * weight).reshape(height, width, 3)
    if look.random() < 0.35:
        quality = int(look.integers(35, 90))
        packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        frame = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return frame, labels
