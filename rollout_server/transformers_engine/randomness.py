"""Random numbers that depend on nothing but a sample's seed and the token's position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def uniforms(
    seeds_B: npt.NDArray[np.uint64], positions_B: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """One number in [0, 1) a row: element `position` of the SplitMix64 sequence of `seed`.

    SplitMix64 reaches any element directly (Steele, Lea, Flood, OOPSLA 2014), so a sample draws
    the same numbers whatever batch it is in.
    """
    with np.errstate(over="ignore"):
        state_B = seeds_B + (positions_B.astype(np.uint64) + np.uint64(1)) * _GOLDEN
        state_B = (state_B ^ (state_B >> np.uint64(30))) * _MIX_1
        state_B = (state_B ^ (state_B >> np.uint64(27))) * _MIX_2
        state_B = state_B ^ (state_B >> np.uint64(31))
    uniforms_B: npt.NDArray[np.float64] = (state_B >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniforms_B
