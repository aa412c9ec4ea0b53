"""An engine for this machine, judged on the frames that travel in the model's file.

    python3 examples/05_build_on_the_board.py model.onnx model.engine

Runs where the engine will: TensorRT plans are of one TensorRT and one GPU. It takes minutes on a board.
"""

import sys

from ccc_jetson import CccError, Segmenter, build_engine


def main(model: str, engine: str) -> int:
    try:
        built = build_engine(model, engine, fp16=True, say=print)
    except CccError as error:  # the gate's refusal, too: no engine is written that finds other classes
        print("error: {}\n  -> {}".format(error, error.hint), file=sys.stderr)
        return 1
    print("{}{}".format(built.path, ", there already" if built.reused else ""))
    gate = built.manifest.gate
    for frame in gate.frames if gate is not None else ():
        print("  {}: {:.3%} of the pixels keep FP32's class".format(frame.name, frame.agreement))
    with Segmenter.from_file(built.path) as segmenter:
        segmenter.warm_up()  # finds the fastest way of this engine on this board, and remembers it
        print("ready: {}".format(segmenter.description))
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["model.onnx", "model.engine"])))
