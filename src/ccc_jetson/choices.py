"""Words that a user may choose between on several command lines; here because ``--help`` imports no numpy."""

FITS = ("stretch", "crop", "letterbox")  # how frames of other proportions meet the network's input
CALIBRATORS = ("entropy2", "minmax")  # TensorRT's, for INT8
CALIBRATION_METHODS = PERCENTILE, MIN_MAX, ENTROPY = ("percentile", "minmax", "entropy")  # of ranges, off the device
CALIBRATION_PERCENTILE = 99.99
CALIBRATION_SAMPLES = 200  # frames that calibrate where nothing else is said
INT8_LAYERS = CONVOLUTIONS, ALL_LAYERS = ("convolutions", "all")  # that a build from a cache may put into INT8
INT8_LEAST = 0.5  # of the decided pixels of every golden frame must keep their class in INT8, whatever was found
INT8_LEAST_MEAN = 0.7  # and of all frames together, for a network that is fit for use
EVAL_SIZES = ("network", "full")  # where predictions and labels are compared
SHARED_MEMORY = ("input", "class_map", "picture")  # what CPU and GPU exchange; the picture is the overlay
MEMORY_POLICIES = COPY, MAPPED, MANAGED = ("copy", "mapped", "managed")  # and how
CLASS_IDS = ("network", "trainids", "labelids")  # numbers in class maps: the network's own, or Cityscapes'
STANDARD_OUTPUT = "-"  # in place of a file
