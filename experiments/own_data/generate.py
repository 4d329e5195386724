"""Write `bearings.csv`: made-up readings of ball bearings in three states, as a condition monitor would log them.

Every row is one second of vibration of a shaft: level and shape of the signal (RMS in mm/s, kurtosis, crest factor),
energy at the frequencies at which a fault of the outer or the inner race is hit, speed, load and temperature. A worn
outer race rings at its frequency, a worn inner race more weakly at its own and with impacts; both grow with the load.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

COLUMNS = (
    "speed_rpm", "load_kn", "temperature_c", "rms_mm_s", "kurtosis", "crest_factor", "outer_band_db", "inner_band_db",
    "state",
)  # fmt: skip
STATES = ("healthy", "outer_race", "inner_race")


def readings(n_rows: int, rng: np.random.Generator) -> list[list[str]]:
    """Rows of the table in the order of `COLUMNS`."""
    state = rng.choice(3, n_rows, p=[0.5, 0.25, 0.25])
    speed, load = rng.uniform(900, 3000, n_rows), rng.gamma(6.0, 0.8, n_rows)
    severity = np.where(state > 0, rng.lognormal(0.0, 0.45, n_rows), 0.0) * (0.6 + 0.1 * load)
    outer, inner = severity * (state == 1), severity * (state == 2)
    temperature = 28 + 0.008 * speed + 1.5 * load + 2.0 * severity + rng.normal(0, 2.5, n_rows)
    rms = (0.6 + speed / 2500) * rng.lognormal(0, 0.18, n_rows) * np.sqrt(1 + 0.5 * outer**2 + 0.4 * inner**2)
    kurtosis = 3 + 0.8 * outer + 1.9 * inner + rng.normal(0, 0.7, n_rows)
    crest = 3.2 + 0.4 * outer + 0.7 * inner + rng.normal(0, 0.35, n_rows)
    outer_band = -38 + 6.5 * outer + 1.5 * inner + 0.002 * speed + rng.normal(0, 3.0, n_rows)
    inner_band = -41 + 1.5 * outer + 4.5 * inner + 0.002 * speed + rng.normal(0, 3.0, n_rows)
    numbers = (speed, load, temperature, rms, kurtosis, crest, outer_band, inner_band)
    decimals = (0, 2, 1, 2, 2, 2, 1, 1)
    return [
        [*(f"{column[row]:.{d}f}" for column, d in zip(numbers, decimals, strict=True)), STATES[state[row]]]
        for row in range(n_rows)
    ]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bearings.csv"))
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(readings(options.rows, np.random.default_rng(options.seed)))


if __name__ == "__main__":
    main()
