"""`vtalign demo`: the whole loop on synthetic videos, with the evidence in `report.html` and `summary.json`."""

from vtalign.cli.demo.run import run_demo

__all__ = ["run_demo"]
