"""Fit the surrogate that the package ships on the records that it ships.

    python experiments/synthesis_records/pretrain.py

To be run whenever the records or `surrogates.estimators.SCHEMA` change; a test says so if it was not.
"""

from __future__ import annotations

from pathlib import Path

import surrogates.pretrained
from surrogates import fit_surrogate, save_surrogate
from surrogates.pretrained import SURROGATE, start_records


def main() -> None:
    """Write it into the package that this process imports."""
    path = Path(surrogates.pretrained.__file__).parent / SURROGATE
    fitted = fit_surrogate(start_records())
    save_surrogate(fitted, path)
    print(f"{path}: version {fitted.version}, {len(fitted.records)} records, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
