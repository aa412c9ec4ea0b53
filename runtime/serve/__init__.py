"""The run in a browser: the live overlay, curves, and figures for monitoring. Needs Tornado.

The page is data (``assets/``), read once and served from memory; no folder is. May import the shared modules of
ccc_jetson and everything of ``runtime`` but its commands.
"""
