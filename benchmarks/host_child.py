"""One contender of ``host.py`` in a process of its own: one runtime, one network, the time of every frame.

    PYTHON benchmarks/host_child.py TASK

TASK is JSON; answer and class map are written to the files that it names. Needs numpy and the runtime alone, so that
PYTHON may be another environment's; ``pytorch`` and ``ccc-jetson`` need this package too.
"""

import collections
import json
import statistics
import sys
import time
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # nobody is told of a benchmark

Run = Callable[[], np.ndarray]  # () -> (1, H, W) classes, or (1, classes, H, W) logits


def open_pytorch(task: Dict[str, Any], image: np.ndarray) -> Tuple[Run, str]:
    """The recognised network in eager mode."""
    import torch

    from ccc_jetson.export.checkpoint import load_checkpoint
    from ccc_jetson.export.networks.registry import recognise

    torch.set_flush_denormal(task["flush"])  # before there are other threads: they inherit it
    if task["threads"]:
        torch.set_num_threads(task["threads"])
    network = recognise(load_checkpoint(task["checkpoint"]).state, task["checkpoint"]).module
    tensor = torch.from_numpy(image)

    def run() -> np.ndarray:
        with torch.inference_mode():
            return network(tensor).argmax(dim=1).numpy()

    return run, "torch " + torch.__version__


def open_onnxruntime(task: Dict[str, Any], image: np.ndarray) -> Tuple[Run, str]:
    """A session as ONNX Runtime's own default options make it, apart from threads and denormals."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if task["threads"]:
        options.intra_op_num_threads = task["threads"]
    if task["flush"]:  # counts for the calling thread too, as this is the process's first session
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(task["class_map"], options, providers=["CPUExecutionProvider"])
    return _session_run(task, session, image), "onnxruntime " + onnxruntime.__version__


def open_ours(task: Dict[str, Any], image: np.ndarray) -> Tuple[Run, str]:
    """The product's session: what ``ccc-run`` opens."""
    from ccc_jetson.carried import METADATA_KEY, contract_of
    from ccc_jetson.cpu_session import OpenVinoSession, open_cpu_session
    from ccc_jetson.files import read_bytes
    from ccc_jetson.onnx_file import parse_onnx
    from ccc_jetson.runtime.denormals import flush_denormals
    from ccc_jetson.targets import ONNX_RUNTIME, runtime_for

    flush_denormals()
    data = read_bytes(task["ours"])
    found = parse_onnx(data, task["ours"])
    is_ours = METADATA_KEY in found.metadata
    runtime = runtime_for(contract_of(found, task["ours"]).target) if is_ours else ONNX_RUNTIME
    opened = open_cpu_session(data, task["ours"], runtime, task["threads"])
    session = opened.session
    if "profile" in task:
        in_openvino = isinstance(session, OpenVinoSession)
        task["end_profiling"] = session.request.get_profiling_info if in_openvino else session.end_profiling
    given, outputs = {found.inputs[0].name: image}, [found.outputs[0].name]
    return lambda: session.run(outputs, given)[0], "{} {}".format(opened.package, opened.version)


def _session_run(task: Dict[str, Any], session: Any, image: np.ndarray) -> Run:
    given = {session.get_inputs()[0].name: image}
    outputs = [session.get_outputs()[0].name]
    if "profile" in task:
        task["end_profiling"] = session.end_profiling
    return lambda: session.run(outputs, given)[0]


def open_opencv(task: Dict[str, Any], image: np.ndarray) -> Tuple[Run, str]:
    """The engine that OpenCV chooses; the graph that ends in logits where its importer refuses ArgMax."""
    import cv2

    if task["threads"]:
        cv2.setNumThreads(task["threads"])

    def opened(path: str) -> Run:
        network = cv2.dnn.readNetFromONNX(path)

        def run() -> np.ndarray:
            network.setInput(image)
            return network.forward()

        run()  # some operators are refused only here
        return run

    try:
        return opened(task["class_map"]), "opencv " + cv2.__version__
    except cv2.error:
        return opened(task["logits"]), "opencv " + cv2.__version__


def open_openvino(task: Dict[str, Any], image: np.ndarray) -> Tuple[Run, str]:
    """The CPU plugin with the hint for latency; ``precision`` is empty for the plugin's own choice."""
    import openvino

    settings: Dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if task["threads"]:
        settings["INFERENCE_NUM_THREADS"] = task["threads"]
    if task["precision"]:
        settings["INFERENCE_PRECISION_HINT"] = task["precision"]
    compiled = openvino.Core().compile_model(task["class_map"], "CPU", settings)
    request = compiled.create_infer_request()
    about = "openvino {}, {}".format(
        openvino.__version__.split("-")[0], compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    )
    return lambda: request.infer([image])[0], about


RUNTIMES = {
    "pytorch": open_pytorch,
    "onnxruntime": open_onnxruntime,
    "opencv": open_opencv,
    "openvino": open_openvino,
    "ccc-jetson": open_ours,
}
MAY_FLUSH = ("pytorch", "onnxruntime")


def measure(task: Dict[str, Any]) -> Dict[str, Any]:
    """Runs the frames, writes the class map and gives the answer: times, what ran, and the profile where asked for."""
    image = np.load(task["input"])
    if "profile" in task:
        _profile_every_session(task["profile"])
        _profile_every_network()
    run, about = RUNTIMES[task["runtime"]](task, image)
    times_ms: List[float] = []
    began = time.perf_counter()
    for index in range(task["warm_up"] + task["frames"]):
        started = time.perf_counter()
        output = run()
        classes = output.argmax(axis=1) if output.ndim == 4 else output
        if index >= task["warm_up"]:
            times_ms.append(1000 * (time.perf_counter() - started))
            if time.perf_counter() - began > task["budget_s"]:
                break
    if task["runtime"] in MAY_FLUSH and denormals_are_flushed() != task["flush"]:
        raise RuntimeError("denormals are {}flushed on this thread".format("not " if task["flush"] else ""))
    np.save(task["classes"], classes)
    if output.ndim == 4:
        about += ", argmax by numpy"
    if len(times_ms) < task["frames"]:
        about += ", {} frames".format(len(times_ms))
    answer: Dict[str, Any] = {"times_ms": times_ms, "about": about}
    if "profile" in task:
        told = task["end_profiling"]()
        answer["profile"] = by_operator(told) if isinstance(told, str) else by_kernel(told)
    return answer


def denormals_are_flushed() -> bool:
    """As ``ccc_jetson.runtime.denormals`` does, which another interpreter has not."""
    return bool((np.array([1e-40], np.float32) * np.float32(1.0))[0] == 0.0)


def _profile_every_session(prefix: str) -> None:
    """Switches ONNX Runtime's profiler on whoever makes the session, so that its other settings stay theirs."""
    import onnxruntime

    class Profiled(onnxruntime.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            self.enable_profiling = True
            self.profile_file_prefix = prefix

    onnxruntime.SessionOptions = Profiled


def _profile_every_network() -> None:
    """The same for OpenVINO, where it is installed."""
    try:
        import openvino
    except ImportError:
        return

    class Profiled(openvino.Core):
        def compile_model(self, model: Any, device: str, settings: Dict[str, Any]) -> Any:
            return super().compile_model(model, device, {**settings, "PERF_COUNT": "YES"})

    openvino.Core = Profiled


def by_kernel(nodes: List[Any]) -> List[Dict[str, Any]]:
    """OpenVINO's account of its last frame as milliseconds by operator and kernel, the most first."""
    operators: Dict[str, Dict[str, Any]] = {}
    for node in nodes:
        ms = 1000 * node.real_time.total_seconds()
        if ms:  # what was fused takes none
            name = "{} ({})".format(node.node_type, node.exec_type)
            row = operators.setdefault(name, {"operator": name, "nodes": 0, "ms": 0.0})
            row["nodes"] += 1
            row["ms"] += ms
    return sorted(operators.values(), key=lambda row: -row["ms"])


def by_operator(path: str) -> List[Dict[str, Any]]:
    """A profile of ONNX Runtime's as milliseconds of a frame by operator, the most first; of each node the median."""
    with open(path, encoding="utf-8") as file:
        events = json.load(file)
    durations_us: Dict[Tuple[str, str], List[float]] = collections.defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            given = event["args"]  # the index tells apart what the optimiser left without a name
            durations_us[given["op_name"], event["name"] + given.get("node_index", "")].append(event["dur"])
    operators: Dict[str, Dict[str, Any]] = {}
    for (operator, _), of_node in durations_us.items():
        row = operators.setdefault(operator, {"operator": operator, "nodes": 0, "ms": 0.0})
        row["nodes"] += 1
        row["ms"] += statistics.median(of_node) / 1000
    return sorted(operators.values(), key=lambda row: -row["ms"])


def main() -> int:
    """Entry point."""
    task = json.loads(sys.argv[1])
    try:
        answer = measure(task)
    except ImportError as error:
        answer = {"absent": "{} ({})".format(error, sys.executable)}
    except Exception as error:  # whatever a runtime raises is the answer about it
        answer = {"problem": "{}: {}".format(type(error).__name__, " ".join(str(error).split()))}
    with open(task["answer"], "w", encoding="utf-8") as file:
        json.dump(answer, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
