"""The live view: a web page over a store, served on the loopback interface by `separatrix view`.

It reads what the study machine writes and owns nothing: it can be opened while a run goes on, closed, and opened again.
Needs the extra `view` (starlette, uvicorn, plotly).
"""

from .server import serve_view

__all__ = ["serve_view"]
