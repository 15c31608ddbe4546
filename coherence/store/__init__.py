"""A content-addressed store of measured values: one file per value, readable by itself."""

from coherence.store.entry import Key
from coherence.store.folders import cache_root, store_root
from coherence.store.lender import Lender
from coherence.store.store import Pruned, Store

__all__ = ["Key", "Lender", "Pruned", "Store", "cache_root", "store_root"]
