"""The main job through the Python API: run (or resume) the study, then look at it as a data frame.

python experiments/jets_hlf/search.py --out runs/jets_api --set preset=smoke
"""

from __future__ import annotations

import argparse
from pathlib import Path

import evonas


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", dest="overrides")
    options = parser.parse_args()

    config = evonas.load_config(Path(__file__).with_name("experiment.toml"), options.overrides)
    resume = (options.out / "study.sqlite").exists()
    with evonas.Study.resume(options.out) if resume else evonas.Study(config, options.out) as study:
        study.run()
        for design in study.front("synthesised"):
            record = design.record(evonas.Stage.SYNTHESISED)
            assert record is not None
            print(
                f"{design.spec.topology:20} accuracy {design.measured['accuracy'].value:.4f} (validation) "
                f"{design.tested['accuracy'].value:.4f} (test), {record.lut:.0f} LUT, {record.latency_ns:.0f} ns"
            )
        frame = study.to_frame()
    columns = ["topology", "validation_accuracy", "predicted_lut", "synthesised_lut", "predicted_latency_ns"]
    print(frame[columns].sort_values("validation_accuracy", ascending=False).head(20).to_string())


if __name__ == "__main__":
    main()
