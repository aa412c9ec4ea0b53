"""Trees of the files by which a machine shows what it is: a TX2, a Nano, an Orin Nano, a PC.

Contents are as users of such boards show them in public (``tegrastats`` lines, ``jetson_clocks --show``, sysfs dumps).
"""

import os

TX2_MODES = {0: "MAXN", 1: "MAXQ", 2: "MAXP_CORE_ALL", 3: "MAXP_CORE_ARM", 4: "MAXP_CORE_DENVER"}
RELEASE = (
    "# R{} (release), REVISION: {}, GCID: 29818004, BOARD: {}, EABI: aarch64, DATE: Sat Feb 19 17:07:00 UTC 2022\n"
)
CPU = "sys/devices/system/cpu/"
THERMAL = "sys/class/thermal/"
IIO = "sys/bus/i2c/drivers/ina3221x/"
KERNEL = "proc/sys/kernel/osrelease"


def build(folder, files, **changes):
    """Writes a tree below ``folder`` and returns its root as text; ``changes`` as for ``changed``."""
    for path, content in changed(files, changes.get("changes", {})).items():
        place = os.path.join(str(folder), path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content if isinstance(content, bytes) else str(content).encode())
    return str(folder)


def changed(files, changes):
    """``files`` with others in their place; None takes a file away, or a whole folder where it ends with a slash."""
    kept = {
        path: content
        for path, content in files.items()
        if not any(path.startswith(each) for each, value in changes.items() if value is None)
    }
    kept.update((path, content) for path, content in changes.items() if content is not None)
    return kept


def meminfo(total, available, swap_total, swap_free):
    """/proc/meminfo, figures in MiB."""
    names = (("MemTotal", total), ("MemFree", available // 2), ("MemAvailable", available))
    names += (("SwapTotal", swap_total), ("SwapFree", swap_free))
    return "".join("{}: {:>10} kB\n".format(name, mebibytes * 1024) for name, mebibytes in names)


def nvpmodel(modes, default):
    """/etc/nvpmodel.conf, with the pattern in its comment that the real one has."""
    lines = ["# FORMAT:", "# < POWER_MODEL ID=id_num NAME=mode_name >"]
    lines += ["< POWER_MODEL ID={} NAME={} >".format(number, name) for number, name in modes.items()]
    return "\n".join(lines + ["< PM_CONFIG DEFAULT={} >".format(default), ""])


def cores(present, online, low, high, now, fixed=False, governor="schedutil"):
    """cpufreq of the cores that are on; kHz."""
    files = {CPU + "present": "0-{}".format(present - 1), CPU + "online": _ranges(online)}
    for number in online:
        folder = "{}cpu{}/cpufreq/".format(CPU, number)
        files[folder + "scaling_cur_freq"] = high if fixed else now
        files[folder + "scaling_min_freq"] = high if fixed else low
        files[folder + "scaling_max_freq"] = high
        files[folder + "scaling_governor"] = governor
    return files


def _ranges(numbers):
    """The kernel's way of listing: 0,3-5."""
    parts = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else "{}-{}".format(a, b) for a, b in parts)


def gpu(name, low, high, now, fixed=False, load=0, load_file="sys/devices/gpu.0/load"):
    """devfreq of the GPU in Hz, load per mille."""
    folder = "sys/class/devfreq/{}/".format(name)
    files = {folder + "cur_freq": high if fixed else now, folder + "min_freq": high if fixed else low}
    files.update({folder + "max_freq": high, folder + "governor": "nvhost_podgov", load_file: load})
    return files


def zones(*named):
    """Thermal zones: (type, thousandths of a degree)."""
    files = {}
    for number, (kind, value) in enumerate(named):
        files["{}thermal_zone{}/type".format(THERMAL, number)] = kind
        files["{}thermal_zone{}/temp".format(THERMAL, number)] = value
    return files


def cooling(*named):
    """Cooling devices: (type, state)."""
    files = {}
    for number, (kind, state) in enumerate(named):
        files["{}cooling_device{}/type".format(THERMAL, number)] = kind
        files["{}cooling_device{}/cur_state".format(THERMAL, number)] = state
        files["{}cooling_device{}/max_state".format(THERMAL, number)] = 10
    return files


def iio_rails(chip, device, *named):
    """INA3221 as L4T 32 shows it: (rail, mW)."""
    files = {}
    for channel, (name, milliwatts) in enumerate(named):
        folder = "{}{}/iio:device{}/".format(IIO, chip, device)
        files["{}rail_name_{}".format(folder, channel)] = name
        files["{}in_power{}_input".format(folder, channel)] = milliwatts
    return files


def hwmon_rails(number, *named):
    """INA3221 as L4T 35 and newer show it: (rail, mV, mA)."""
    folder = "sys/class/hwmon/hwmon{}/".format(number)
    files = {folder + "name": "ina3221"}
    for channel, (name, millivolts, milliamperes) in enumerate(named, 1):
        files["{}in{}_label".format(folder, channel)] = name
        files["{}in{}_input".format(folder, channel)] = millivolts
        files["{}curr{}_input".format(folder, channel)] = milliamperes
    return files


def over_current(number, *counts):
    """Orin's counters of under-voltage and over-current."""
    folder = "sys/class/hwmon/hwmon{}/".format(number)
    files = {folder + "name": "soctherm_oc"}
    files.update(("{}oc{}_event_cnt".format(folder, index), count) for index, count in enumerate(counts, 1))
    return files


def tx2_files(mode=0, fixed=False):
    """A TX2 with JetPack 4.6.4; in modes but 0 and 2 its Denver cores are off. ``mode`` None: nobody has chosen one."""
    denver = mode in (0, 2)
    files = {
        "proc/device-tree/model": b"NVIDIA Jetson TX2 Developer Kit\0",
        "proc/device-tree/compatible": b"nvidia,quill\0nvidia,tegra186\0",
        "etc/nv_tegra_release": RELEASE.format(32, "7.4", "t186ref"),
        "etc/os-release": 'PRETTY_NAME="Ubuntu 18.04.6 LTS"\n',
        "etc/nvpmodel.conf": nvpmodel(TX2_MODES, 3),
        KERNEL: "4.9.337-tegra\n",
        "proc/meminfo": meminfo(7854, 5482, 3927, 3927),
        "proc/swaps": "Filename Type Size Used Priority\n/swapfile file 4021244 0 -2\n",
    }
    if mode is not None:
        files["var/lib/nvpmodel/status"] = "pmode:{:04d}".format(mode)
    files.update(cores(6, range(6) if denver else (0, 3, 4, 5), 345600, 2035200, 1420800, fixed))
    files.update(gpu("17000000.gp10b", 114750000, 1300500000 if mode == 0 else 1122000000, 318750000, fixed, 421))
    rails = (("VDD_SYS_GPU", 1904), ("VDD_SYS_SOC", 990), ("VDD_4V0_WIFI", 0))
    files.update(iio_rails("0-0040", 0, *rails))
    files.update(iio_rails("0-0041", 1, ("VDD_IN", 7358), ("VDD_SYS_CPU", 1917), ("VDD_SYS_DDR", 1318)))
    files.update(
        zones(
            ("BCPU-therm", 42500), ("MCPU-therm", 42500), ("GPU-therm", 39500), ("PLL-therm", 42500),
            ("AO-therm", -256000), ("Tboard_tegra", 38000), ("Tdiode_tegra", 39250), ("PMIC-Die", 100000),
            ("thermal-fan-est", 41300),
        )
    )  # fmt: skip
    alerts = ("bcpu-throttle-alert", "mcpu-throttle-alert", "gpu-throttle-alert")
    files.update(cooling(("pwm-fan", 3), *((name, 0) for name in alerts), ("CORE-floor", 1)))
    return files


def tx2(folder, mode=0, fixed=False, **changes):
    """A tree of a TX2."""
    return build(folder, tx2_files(mode, fixed), **changes)


def nano_files(mode=0, fixed=False):
    """A Nano with JetPack 4.6.1."""
    files = {
        "proc/device-tree/model": b"NVIDIA Jetson Nano Developer Kit\0",
        "proc/device-tree/compatible": b"nvidia,p3450-0000\0nvidia,tegra210\0",
        "etc/nv_tegra_release": RELEASE.format(32, "7.1", "t210ref"),
        "etc/os-release": 'PRETTY_NAME="Ubuntu 18.04.5 LTS"\n',
        "etc/nvpmodel.conf": nvpmodel({0: "MAXN", 1: "5W"}, 0),
        "var/lib/nvpmodel/status": "pmode:{:04d}".format(mode),
        KERNEL: "4.9.253-tegra\n",
        "proc/meminfo": meminfo(3956, 2500, 1978, 1978),
        "proc/swaps": "Filename Type Size Used Priority\n"
        + "".join("/dev/zram{} partition 506480 0 5\n".format(number) for number in range(4)),
    }
    files.update(cores(4, range(4) if mode == 0 else (0, 1), 102000, 1479000, 921600, fixed))
    files.update(gpu("57000000.gpu", 76800000, 921600000, 76800000, fixed, 0))
    files.update(iio_rails("6-0040", 0, ("POM_5V_IN", 2056), ("POM_5V_GPU", 40), ("POM_5V_CPU", 161)))
    files.update(zones(("AO-therm", 26000), ("CPU-therm", 20500), ("GPU-therm", 20000), ("PMIC-Die", 100000)))
    files.update(cooling(("pwm-fan", 1), ("cpu-balanced", 0), ("gpu-balanced", 0)))
    return files


def nano(folder, mode=0, fixed=False, **changes):
    """A tree of a Nano."""
    return build(folder, nano_files(mode, fixed), **changes)


def orin_nano_files(mode=2, fixed=False):
    """An Orin Nano with JetPack 6.2, whose mode 0 is not the fastest."""
    files = {
        "proc/device-tree/model": b"NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
        "proc/device-tree/compatible": b"nvidia,p3768-0000+p3767-0005-super\0nvidia,tegra234\0",
        "etc/nv_tegra_release": RELEASE.format(36, "4.3", "generic") + "# KERNEL_VARIANT: oot\n",
        "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
        "etc/nvpmodel.conf": nvpmodel({0: "15W", 1: "25W", 2: "MAXN_SUPER"}, 1),
        "var/lib/nvpmodel/status": "pmode:{:04d}".format(mode),
        KERNEL: "5.15.148-tegra\n",
        "proc/meminfo": meminfo(7620, 4000, 3810, 2959),
        "proc/swaps": "Filename Type Size Used Priority\n/ssd/8GB.swap file 8388604 0 -2\n",
    }
    files.update(cores(6, range(6), 729600, 1728000, 729600, fixed))
    load = "sys/devices/platform/bus@0/gpu.0/load"
    files.update(gpu("17000000.gpu", 306000000, 1020000000, 621000000, fixed, 630, load))
    files.update(hwmon_rails(1, ("VDD_IN", 5000, 2496), ("VDD_CPU_GPU_CV", 5000, 933), ("VDD_SOC", 5000, 563)))
    files.update(over_current(3, 0, 0, 2))
    files.update(
        zones(("cpu-thermal", 53968), ("gpu-thermal", 53343), ("cv0-thermal", b""), ("tj-thermal", 53968))
    )  # a part that is off: the kernel answers with an error
    files.update(cooling(("pwm-fan", 2), ("cpufreq-cpu0", 0), ("devfreq-17000000.gpu", 0)))
    return files


def orin_nano(folder, mode=2, fixed=False, **changes):
    """A tree of an Orin Nano."""
    return build(folder, orin_nano_files(mode, fixed), **changes)


def pc_files():
    """A PC with an Intel processor whose counter of energy may be read."""
    files = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12"\n',
        KERNEL: "6.1.0-18-amd64\n",
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 2.40GHz\n",
        "proc/meminfo": meminfo(32000, 24000, 0, 0),
        "proc/stat": "cpu  400 0 100 1500 0 0 0 0\ncpu0 200 0 50 750 0 0 0 0\ncpu1 200 0 50 750 0 0 0 0\nintr 1\n",
        "sys/class/powercap/intel-rapl:0/name": "package-0",
        "sys/class/powercap/intel-rapl:0/energy_uj": 5000000,
        "sys/class/powercap/intel-rapl:0:0/name": "core",
        "sys/class/powercap/intel-rapl:0:0/energy_uj": 1000000,
    }
    files.update(cores(2, range(2), 800000, 4200000, 2400000, governor="powersave"))
    files.update(zones(("acpitz", 27800), ("x86_pkg_temp", 51000)))
    files.update(cooling(("Processor", 0), ("TCC Offset", 12), ("intel_powerclamp", -1)))
    files["sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"] = 4
    return files


def pc(folder, **changes):
    """A tree of a PC."""
    return build(folder, pc_files(), **changes)
