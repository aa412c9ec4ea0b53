"""``ccc-bench``: honest timing of the whole way of a frame and of the bare network, and two reports compared.

May import the rest of ``runtime``, ``engines`` and the shared modules; nothing imports it but its own command line.
"""
