"""The canvas: one (H, W, 4) picture whose fourth channel is the train id, so that both are painted at once."""

import math

import numpy as np

from ccc_jetson.export.scenes.camera import NEAR_M, Camera
from ccc_jetson.export.scenes.colours import Colour, scaled
from ccc_jetson.export.scenes.facades import Surface, picture_of
from ccc_jetson.export.scenes.light import Light

_SUBPIXEL_BITS = 4
_REACH_PX = 12000.0

Pixel = tuple[float, float] | np.ndarray  # u, v


class Canvas:
    """What is painted on: pixels (H, W, 4) uint8 as B, G, R, train id; with the camera and the light."""

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera = camera
        self.light = light
        self.pixels = np.zeros((camera.height, camera.width, 4), np.uint8)
        self.glows: list[tuple[float, float, float, Colour]] = []  # u, v, radius, colour

    def colour(self, albedo: Colour, shade: Colour, z: float) -> Colour:
        """The colour on the picture of a surface ``albedo`` under ``shade`` at ``z`` metres, with the haze."""
        haze = self.light.haze(z)
        clear = 1.0 - haze
        fog = self.light.fog
        return (
            min(albedo[0] * shade[0], 255.0) * clear + fog[0] * haze,
            min(albedo[1] * shade[1], 255.0) * clear + fog[1] * haze,
            min(albedo[2] * shade[2], 255.0) * clear + fog[2] * haze,
        )

    def fill(self, pixels: np.ndarray, colour: Colour, label: int) -> None:
        """Fill a simple polygon, pixels (N, 2), with a finished colour and a train id."""
        import cv2

        held = np.minimum(np.maximum(pixels, -_REACH_PX), _REACH_PX)
        fixed = np.rint(held * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        value = (colour[0], colour[1], colour[2], label)
        cv2.fillPoly(self.pixels, [fixed], value, cv2.LINE_8, _SUBPIXEL_BITS)

    def line(self, begin: Pixel, end: Pixel, width_px: float, colour: Colour, label: int) -> None:
        """Draw a straight stroke between two pixels; never thinner than one."""
        import cv2

        scale = 1 << _SUBPIXEL_BITS
        (x0, y0), (x1, y1) = begin, end
        if max(abs(x0), abs(y0), abs(x1), abs(y1)) > _REACH_PX:
            return
        value = (colour[0], colour[1], colour[2], label)
        thickness = max(1, min(round(width_px), 255))
        ends = (round(x0 * scale), round(y0 * scale)), (round(x1 * scale), round(y1 * scale))
        cv2.line(self.pixels, *ends, value, thickness, cv2.LINE_8, _SUBPIXEL_BITS)

    def lines(self, strokes: np.ndarray, width_px: float, colour: Colour, label: int) -> None:
        """Draw N open lines of K points each, (N, K, 2) pixels, of one colour and width, as ``line`` does."""
        import cv2

        held = np.minimum(np.maximum(strokes, -_REACH_PX), _REACH_PX)
        fixed = np.rint(held * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        value = (colour[0], colour[1], colour[2], label)
        thickness = max(1, min(round(width_px), 255))
        cv2.polylines(self.pixels, fixed, False, value, thickness, cv2.LINE_8, _SUBPIXEL_BITS)

    def ellipse(
        self, centre: tuple[float, float], radius_x: float, radius_y: float, colour: Colour, label: int
    ) -> None:
        """Fill an upright ellipse, everything in pixels."""
        if max(radius_x, radius_y) < 1.2:
            self.line(centre, centre, 2 * max(radius_x, radius_y), colour, label)
            return
        count = 8 if radius_y < 5 else 14
        angle = np.arange(count) * (2 * math.pi / count)
        ring = np.stack([centre[0] + radius_x * np.cos(angle), centre[1] + radius_y * np.sin(angle)], axis=1)
        self.fill(ring, colour, label)

    def _window(self, corners: np.ndarray) -> tuple[int, int, int, int] | None:
        """The part of the picture (x0, y0, x1, y1) under the corners, or None where there is none."""
        x0, y0 = np.floor(corners.min(axis=0)).astype(int).tolist()
        x1, y1 = (np.ceil(corners.max(axis=0)).astype(int) + 1).tolist()
        x0, y0 = max(x0, 0), max(y0, 0)
        x1, y1 = min(x1, self.camera.width), min(y1, self.camera.height)
        return None if x0 >= x1 or y0 >= y1 else (x0, y0, x1, y1)

    def wall(
        self,
        begin: tuple[float, float],
        end: tuple[float, float],
        low: float,
        high: float,
        surface: Surface,
        shade: Colour,
        label: int,
    ) -> None:
        """Hang a texture on an upright wall.

        Args:
            begin, end: ground points (s, t) in metres, the texture's left and right edge.
            low, high: the wall's lower and upper edge above the road, in metres.
            surface: what it looks like; where its texture has an alpha channel of 0 one sees through, though the
                whole wall carries the label.
            shade: the light on the wall, three factors.
        """
        import cv2

        (s0, t0), (s1, t1) = begin, end
        limit = self.camera.s + NEAR_M
        if s0 <= limit and s1 <= limit:
            return
        a, b = 0.0, 1.0
        if s0 < limit:
            a = (limit - s0) / (s1 - s0)
        elif s1 < limit:
            b = (limit - s0) / (s1 - s0)
        p = (s0 + a * (s1 - s0), t0 + a * (t1 - t0))
        q = (s0 + b * (s1 - s0), t0 + b * (t1 - t0))
        corners = self.camera.project([(*p, high), (*q, high), (*q, low), (*p, low)])
        window = self._window(corners)
        if window is None:
            return
        x0, y0, x1, y1 = window
        z = max(min(p[0], q[0]) - self.camera.s, NEAR_M)
        far = max(max(p[0], q[0]) - self.camera.s, NEAR_M)
        if (x1 - x0) * (y1 - y0) < 24:
            self.fill(corners, self.colour(scaled(surface.colour, 0.8), shade, z), label)
            return
        texture = picture_of(surface)
        height, width = texture.shape[:2]
        tall = max(corners[3, 1] - corners[0, 1], corners[2, 1] - corners[1, 1])
        while tall < 0.6 * height and height > 8 and width > 8:
            height, width = height // 2, width // 2
            texture = cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA)
        haze = 0.5 * (self.light.haze(z) + self.light.haze(far))
        gains = np.zeros((3, 4), np.float32)
        for channel in range(3):
            gains[channel, channel] = shade[channel] * (1 - haze)
            gains[channel, 3] = self.light.fog[channel] * haze
        lit = cv2.transform(texture[..., :3], gains)
        lit = cv2.merge([lit, texture[..., 3] if texture.shape[2] == 4 else np.full((height, width), 255, np.uint8)])
        source = np.array([[a * width, 0], [b * width, 0], [b * width, height], [a * width, height]], np.float32)
        target = (corners - (x0, y0)).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        size = (x1 - x0, y1 - y0)
        warped = cv2.warpPerspective(lit, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        region = self.pixels[y0:y1, x0:x1]
        mask = np.zeros((size[1], size[0]), np.uint8)
        fixed = np.rint(target * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, fixed, 255, cv2.LINE_8, _SUBPIXEL_BITS)
        if texture.shape[2] == 4:
            cv2.copyTo(np.full_like(mask, label), mask, mask_target := np.ascontiguousarray(region[..., 3]))
            solid = cv2.bitwise_and(mask, cv2.compare(np.ascontiguousarray(warped[..., 3]), 127, cv2.CMP_GT))
            cv2.copyTo(warped, solid, region)
            region[..., 3] = mask_target
            return
        warped[..., 3] = label
        cv2.copyTo(warped, mask, region)

    def sprite(self, box: tuple[float, float, float, float], picture: np.ndarray, label: int) -> None:
        """Paste a finished sprite, (h, w, 4) BGR and alpha, into a box (x0, y0, x1, y1) of pixels (floats)."""
        import cv2

        left, top, right, bottom = box
        window = self._window(np.array([[left, top], [right, bottom]]))
        if window is None:
            return
        x0, y0, x1, y1 = window
        height, width = picture.shape[:2]
        while (bottom - top) < 0.6 * height and height > 4 and width > 4:
            height, width = height // 2, width // 2
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        sx, sy = (right - left) / width, (bottom - top) / height
        matrix = np.array([[sx, 0, left - x0], [0, sy, top - y0]])
        warped = cv2.warpAffine(picture, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        mask = cv2.compare(cv2.extractChannel(warped, 3), 110, cv2.CMP_GT)
        warped[..., 3] = label
        cv2.copyTo(warped, mask, self.pixels[y0:y1, x0:x1])
