"""Symmetric (Löwdin) orthonormalisation: vectors without overlap, each as near to what it was as can be."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DEPENDENT = 1e-8  # an eigenvalue of the overlaps below it is rounding: that direction is there twice


def orthonormal(vectors: Array) -> Array | None:
    """Give (V V')^(-1/2) V of the unit vectors along [vectors, width]; None if they are linearly dependent.

    Of all orthonormal sets it is the nearest to them, and no vector comes first (Löwdin 1950).
    """
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    values, axes = np.linalg.eigh(units @ units.T)
    if values[0] < DEPENDENT:
        return None
    return np.asarray((axes / np.sqrt(values)) @ axes.T @ units)
