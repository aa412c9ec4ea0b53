"""Graph passes: between "exported" and "deployable". Small, named, each with its reason and how exact it is.

May import the shared modules of ccc_jetson. ``order.PASSES`` is the order they run in; ``run.run_passes`` runs them.
"""
