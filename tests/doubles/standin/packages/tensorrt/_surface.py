"""What a program finds at the top of the package."""

from standin_faults import missing_module

from tensorrt import _builder, _callbacks, _config, _context, _inspector, _network, _parser, _plan, _runtime, _types
from tensorrt._pybind import Binding, instance, strict, text
from tensorrt._version import MEMBERS, TEXT

__all__ = ["TEXT", "shown"]
_MODULES = (_builder, _callbacks, _config, _context, _inspector, _network, _parser, _plan, _runtime, _types)

missing_module("tensorrt_missing", "tensorrt")


@strict(logger=instance(_callbacks.ILogger), namespace=text)
def init_libnvinfer_plugins(logger, namespace):
    """Whether the library's own plugins are there."""
    return True


def shown():
    """The names that this version has, with what they stand for."""
    found = {
        "Dims": _types.Dims,
        "init_libnvinfer_plugins": init_libnvinfer_plugins,
        "nptype": _types.nptype,
        "volume": _types.volume,
    }
    for module in _MODULES:
        for each in vars(module).values():
            if isinstance(each, Binding) and each.__qualname__ in MEMBERS and "." not in each.__qualname__:
                found[each.__name__] = each
    for alias, member in _types.ALIASES.items():
        if member in _types.DataType.__members__:
            found[alias] = _types.DataType.__members__[member]
    return found
