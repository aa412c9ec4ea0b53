"""Where do the ranges of a Q/DQ model come from? Behind ``ccc-inspect MODEL.onnx``, which hands it to the page."""

from typing import Any, Dict, List, NamedTuple, Optional

from ccc_jetson.calib.inspect_cache import layers_rows, maker_text, way_text
from ccc_jetson.calib.provenance import Provenance, provenance_in
from ccc_jetson.contract import Contract
from ccc_jetson.engines.inspect_text import Row
from ccc_jetson.errors import CccError
from ccc_jetson.json_records import plain
from ccc_jetson.onnx_file import OnnxFile


class RangesReport(NamedTuple):
    """``provenance`` is None where the file carries none, or ``problem`` with it."""

    provenance: Optional[Provenance]
    problem: Optional[CccError]

    def to_json(self) -> Optional[Dict[str, Any]]:
        """The provenance for machines."""
        return None if self.provenance is None else plain(self.provenance)

    def rows(self) -> List[Row]:
        """The provenance for people; what its pairs are and cost, the page says itself."""
        found = self.provenance
        if self.problem is not None:
            return [("ranges", "damaged: {}".format(self.problem))]
        if found is None:
            return [("ranges", "nothing says where they come from: no provenance in the file")]
        rows = [
            ("ranges", way_text(found)),
            ("ranges", "by {}".format(maker_text(found))),
            ("ranges", "frames: SHA-256 of names and contents {}".format(found.images_sha256)),
            ("ranges", "made of the float model with SHA-256 {}".format(found.onnx_sha256)),
            ("ranges", "and of its contract with SHA-256 {}".format(found.contract_sha256)),
        ]
        return rows + layers_rows(found)


def inspect_ranges(onnx_file: OnnxFile, contract: Optional[Contract], path: str) -> RangesReport:
    """What a Q/DQ model says of its ranges; ``contract`` is its own, None where it cannot be read."""
    try:
        return RangesReport(None if contract is None else provenance_in(contract, onnx_file, path), None)
    except CccError as error:
        return RangesReport(None, error)
