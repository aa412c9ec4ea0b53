"""Faults around whole commands: disks that are full, processes that are killed, files that are damaged; and a soak.

matrix.py    the table of commands and faults, and the law that every cell keeps
commands.py  what each command reads, writes, and how it is called
disturbed.py a command under faulty.cpp, which counts what it does in a folder, and strikes at the n-th time
soak.py      benchmarks/soak.py over the CPU "CUDA driver", with a camera that is pulled out now and then
"""
