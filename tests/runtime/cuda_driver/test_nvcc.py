"""The double of nvcc."""

import os
import subprocess

from tests.doubles import cuda_driver
from tests.doubles.cuda_driver.lab import KERNELS, nvcc


def test_nvcc_says_its_version_and_refuses_what_it_does_not_know(tmp_path):
    broken = KERNELS.replace("summand;", "summend;")
    with cuda_driver.installed():
        said = subprocess.check_output(["nvcc", "--version"]).decode()
        assert "Cuda compilation tools, release 10.2, V10.2.300\n" in said
        for options, message in ((["-arch=sm_87"], "Value 'sm_87' is not defined for option 'gpu-architecture'"),
                                 (["-arch=sm_62", "-std=c++17"], "Value 'c++17' is not defined for option 'std'"),
                                 (["-arch=sm_62", "--fast"], "Unknown option 'fast'")):  # fmt: skip
            code, said, _ = nvcc(tmp_path, KERNELS, *options)
            assert code == 1 and said == "nvcc fatal   : {}\n".format(message)
        code, said, _ = nvcc(tmp_path, broken, "-arch=sm_62")
        assert (
            code == 1 and "unit.cu(4): error: " in said and '1 error detected in the compilation of "unit.cu".' in said
        )
    with cuda_driver.installed(nvcc="13.0"):
        assert nvcc(tmp_path, KERNELS, "-arch=sm_62")[1] == "nvcc fatal   : Unsupported gpu architecture 'sm_62'\n"


def test_nvcc_compiles_once_what_is_the_same(tmp_path):
    with cuda_driver.installed(nvcc="12.6"):
        os.environ["NVCC_DOUBLE_CACHE"] = str(tmp_path / "cache")
        first = nvcc(tmp_path, KERNELS, "-arch=sm_62")[2]
        (name,) = os.listdir(str(tmp_path / "cache"))
        assert nvcc(tmp_path, KERNELS, "-arch=sm_62")[2] == first
        assert os.listdir(str(tmp_path / "cache")) == [name]
        assert nvcc(tmp_path, KERNELS, "-arch=sm_87")[2] != first
        assert nvcc(tmp_path, "#ifdef N\n#endif\n" + KERNELS, "-arch=sm_62", "-DN=2")[0] == 0
        assert len(os.listdir(str(tmp_path / "cache"))) == 3
        del os.environ["NVCC_DOUBLE_CACHE"]
        assert nvcc(tmp_path, KERNELS, "-arch=sm_62")[2][:4] == b"\x7fELF", "without a folder, too"
