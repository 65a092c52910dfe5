"""Sizes -> rows of bounded size, by best fit decreasing."""

import numpy as np
from numpy.typing import NDArray

def best_fit(sizes: NDArray[np.int32], room: int) -> tuple[NDArray[np.int64], int]:
    """Give each item a row, so that the sizes in a row add up to at most `room`."""
