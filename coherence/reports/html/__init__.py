"""The HTML report: one file that needs nothing else, for a browser, a phone or a printer."""

from coherence.reports.html.page import write_html

__all__ = ["write_html"]
