"""Fit the surrogates that the package ships on the records that it ships.

    python experiments/synthesis_records/pretrain.py

To be run whenever the records or their schemas change; a test says so if it was not.
"""

from __future__ import annotations

from pathlib import Path

import surrogates.pretrained
from surrogates import TraceSurrogate, fit_surrogate, save_surrogate
from surrogates.pretrained import SURROGATE, TRACE_SURROGATE, start_records, traced_records


def main() -> None:
    """Write them into the package that this process imports."""
    place = Path(surrogates.pretrained.__file__).parent
    for fitted, name in (
        (fit_surrogate(start_records()), SURROGATE),
        (TraceSurrogate().fit(traced_records()), TRACE_SURROGATE),
    ):
        path = place / name
        save_surrogate(fitted, path)
        print(f"{path}: version {fitted.version}, {len(fitted.records)} records, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
