"""One self-contained HTML page about a study, drawn from its `StudyState` alone.

write_report(state, path)
  views ──> figures ──> _plotly (the only file that imports plotly, and only when a figure is drawn)
    │         │
    └──────> tables, summary ──> _html (escapes everything) ──> page (text, style, scripts in _assets)
"""

from evonas.report.page import write_report

__all__ = ["write_report"]
