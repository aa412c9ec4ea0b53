"""Older versions through the signatures of 8.6.1, which still has their members beside those that replaced them."""


class Without:
    """An object, seemingly without some members; what is nested in it may lack some as well.

    Args:
        given: an object or a module.
        names: members that it shall not have.
        inner: member -> names that this one shall not have.
    """

    def __init__(self, given, names, **inner):
        object.__setattr__(self, "_of", (given, names, inner))

    def __getattr__(self, name):
        given, names, inner = self._of
        if name in names:
            raise AttributeError("{} is newer".format(name))
        value = getattr(given, name)
        return Without(value, inner[name]) if name in inner else value

    def __setattr__(self, name, value):
        given, names, _ = self._of
        if name in names:
            raise AttributeError("{} is newer".format(name))
        setattr(given, name, value)


def of_8_2(trt):
    """The module as JetPack 4.6.1 has it; objects lose their newer members by ``as_in_8_2``."""
    return Without(trt, ("MemoryPoolType", "TensorIOMode"))


def of_8_0(trt):
    """The module as JetPack 4.6 has it."""
    return Without(
        trt,
        ("EngineInspector", "LayerInformationFormat", "MemoryPoolType", "TensorIOMode"),
        BuilderFlag=("DIRECT_IO", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"),
        ProfilingVerbosity=("DETAILED", "LAYER_NAMES_ONLY"),
    )


_NEWER_THAN_8_2 = (
    "execute_async_v3",
    "get_tensor_dtype",
    "get_tensor_mode",
    "get_tensor_name",
    "get_tensor_shape",
    "num_io_tensors",
    "set_memory_pool_limit",
    "set_tensor_address",
)


def as_in_8_2(given):
    """A configuration, engine or context."""
    return Without(given, _NEWER_THAN_8_2)


def as_in_8_0(given):
    """A configuration, engine or context."""
    return Without(given, _NEWER_THAN_8_2 + ("create_engine_inspector",))
