"""From files to documents: read, clean, cut, split, drop duplicates and leaks, all as streams."""

from alive.corpus.report import CorpusReport
from alive.corpus.stream import Corpus, open_corpus

__all__ = ["Corpus", "CorpusReport", "open_corpus"]
