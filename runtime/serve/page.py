"""The page as a sink: opened before the run, told each frame, gone with the run."""

import os
from typing import Any, Callable, Dict, Optional

from ccc_jetson import __version__
from ccc_jetson.contract import Contract
from ccc_jetson.progress import say
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame, FrameSource
from ccc_jetson.runtime.live import LiveStatistics, Telemetry, no_telemetry
from ccc_jetson.runtime.metrics import Counters
from ccc_jetson.runtime.serve.access import Token
from ccc_jetson.runtime.serve.entrance import Entrance
from ccc_jetson.runtime.serve.newest import NewestPicture
from ccc_jetson.runtime.serve.picture import PictureEncoder
from ccc_jetson.runtime.sinks import Sink


class Page(Sink):
    """Answers from its construction until it is closed.

    Args:
        entrance: open; closed by ``close``.
        contract: of the network.
        model: the file's path.
        source: of the frames.
        opacity: of the colours when a page opens.
        telemetry: as for ``LiveStatistics``.
    """

    def __init__(
        self,
        entrance: Entrance,
        contract: Contract,
        model: str,
        source: FrameSource,
        opacity: float,
        telemetry: Callable[[], Telemetry] = no_telemetry,
    ) -> None:
        from ccc_jetson.runtime.serve.server import PageServer
        from ccc_jetson.runtime.serve.state import PageState

        listener = entrance.listener
        self.token: Optional[Token] = entrance.token
        self.url = listener.url
        self.description = "page at " + self.url
        self.live = LiveStatistics(contract, telemetry)
        self._pictures = NewestPicture(PictureEncoder(contract), self.description)
        about = _about(contract, model, source, opacity)
        info = {"model": about["model"], "file": about["file"], "source": about["source"], "version": __version__}
        self._server = PageServer(
            listener,
            self._pictures,
            lambda: PageState(listener, self.token, self._pictures, self.live, about, info),
        )
        try:
            self._server.start()
        except BaseException:
            self._server.close()
            raise

    @property
    def secret_url(self) -> str:
        """The address to open, with a token that was made up for it."""
        if self.token is None or not self.token.generated:
            return self.url
        return "{}?token={}".format(self.url, self.token.text)

    def watch(self, counters: Callable[[], Counters]) -> None:
        self.live.watch(counters)

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        self.live.write(frame, segmentation)
        self._pictures.write(frame, segmentation)

    def close(self) -> None:
        self._server.close()
        if self._server.failure is not None:
            raise self._server.failure

    def abort(self) -> None:
        self._server.close()


def tell(page: Page) -> None:
    """Says where the page is, once, on standard error; the token is written nowhere else."""
    remark = "" if page.token is None or page.token.generated else " (asks for the token you gave)"
    say("page: {}{}".format(page.secret_url, remark))


def _about(contract: Contract, model: str, source: FrameSource, opacity: float) -> Dict[str, Any]:
    return {
        "model": contract.architecture.title,
        "file": os.path.basename(model),
        "input": "{}x{}".format(contract.input.width, contract.input.height),
        "source": source.description,
        "live": source.live,
        "total": source.total,
        "opacity": opacity,
        "classes": [{"name": each.name, "color": list(each.color)} for each in contract.classes],
        "version": __version__,
    }
