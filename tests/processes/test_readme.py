"""The code of README.md runs as it stands, in an empty folder with nothing but a table of the reader's own."""

import re
import subprocess
import sys

import numpy as np

import chapters


def test_the_examples_run_from_an_empty_folder(tmp_path):
    readme = (chapters.ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    generator = np.random.default_rng(0)
    X = generator.normal(size=(40, 3))
    np.savetxt(tmp_path / "yours.csv", np.column_stack([X, X[:, 0] > X[:, 1]]), delimiter=",", header="a,b,c,class")
    process = subprocess.run([sys.executable, "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    printed = process.stdout
    right = float(re.search(r"right on the other rows ([\d.]+)", printed)[1])
    assert right > 0.7, printed
    assert float(re.search(r"R/λ at the end of time ([\d.]+)", printed)[1]) > 0
    assert "stays on the set to first order" in printed and "; lowers the norm" in printed, printed
