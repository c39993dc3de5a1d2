"""Scores files of responses with a reward server, in bounded memory."""

from trimtab.scoring.rows import Row, RowReader
from trimtab.scoring.score import Scoring
from trimtab.scoring.writer import VerdictWriter

__all__ = ["Row", "RowReader", "Scoring", "VerdictWriter"]
