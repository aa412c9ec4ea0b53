"""A stand-in for NVIDIA's package ``tensorrt``: reads ONNX files, "builds" them, and runs them with ONNX Runtime.

It shows the members that the version in STANDIN_TENSORRT has and no others (``members.txt``), takes the arguments that
the real bindings take and no others, reports failure as they do (``None``, ``False``, a line in the log), and calls the
program back as they do. What it cannot show: speed, memory, and anything about kernels.

Variables (``tests/doubles/standin`` sets them):

    STANDIN_TENSORRT  the version, "8.2.1.8" where it is not set
    STANDIN_PYCUDA    pycuda's version, "2022.1" where it is not set
    STANDIN_MEMBERS   a file that gets a line "Class.member" for each member that the program asks for
    STANDIN_FAULTS    what the machine is and what goes wrong, as JSON:

The machine
    device, sm, integrated, cuda   of the GPU and of CUDA: "NVIDIA Tegra X2", "6.2", true, "10.2"
    dla_cores           how many; two with sm 7.2 and 8.7, else none
    total_mib, free_mib device memory, and what of it is free at first
    no_gpu              CUDA finds none: TensorRT's builder and runtime and pycuda's init fail
    tensorrt_missing    the package cannot be imported: true as if it were not there, a text for another reason
    pycuda_missing      the same for pycuda

The build
    network_none        create_network gives None
    parse_fail_node     the parser has no importer for the node of that name
    layer_names         {node: name}: the parser gives its layer that name; null: it makes no layer of the node
    build_seconds       how long a build takes if no layer is in the timing cache
    build_log           [[severity, text], ...] that is logged before the build returns
    build_none          the build gives None, and no reason
    oom_above_mib       the build fails for want of memory if the workspace is larger
    kill_above_mib      the process is killed in the middle of the build if the workspace is larger
    timing_cache_none   create_timing_cache gives None
    cancel_ignored      a progress monitor's False does not end the build

The run
    deserialize_none    the runtime gives None, and no reason
    context_none        the engine gives no execution context
    execute_false       nothing runs
    nan_unless_fp32     [layer or tensor, ...]: in half precision, the upper half of every output is NaN (of class
                        maps: 0) unless these layers compute in FP32 and hand FP32 on
    wrong_unless_fp32   the same with wrong classes: channels are moved on by one, class numbers raised
    wrong               the classes are wrong in any precision

The process; true stands for "build", else "create", "parse", "deserialize" or "execute" says when
    abort, segfault, kill   it ends by that signal
    hang                it goes on for an hour

A layer counts as kept in FP32 if both its precision and the types of its floating-point outputs are set to FLOAT (of an
output of the network the tensor's own type counts) and the configuration has OBEY_ or PREFER_PRECISION_CONSTRAINTS or
STRICT_TYPES. With the FP16 flag, outputs of other layers are rounded to half precision. INT8 changes no result.
"""

from tensorrt import _surface

__version__ = _surface.TEXT
globals().update(_surface.shown())
