"""OpenML and Zenodo loaders against a local server that serves small files in the real formats."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import h5py
import numpy as np
import pytest

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import jets, load_task
from evonas.tasks import openml as openml_module
from evonas.tasks.jet_features import CLASSES, FEATURES, public_name
from evonas.tasks.openml import read_arff
from evonas.tasks.zenodo import ARCHIVE, read_files

N = 60
ARFF_PATH = "/data/v1/download/1/hls4ml_lhc_jets_hlf.arff"
ARCHIVE_PATH = f"/api/records/3602260/files/{ARCHIVE}/content"


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("evonas.tasks.download.BLOCK", 1000)  # the files here are small


@pytest.fixture
def truth():
    """Features (N, 16) in our order and labels (N,)."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(N, 16)).astype(np.float32), rng.permutation(np.arange(N) % 5)


# --- OpenML


def arff(x, y, rng, *, declared=("z", "g", "t", "q", "w")) -> str:
    """The set as ARFF, columns and declared classes in an order of their own, the class not last."""
    order = rng.permutation(17)
    names = [*(public_name(f) for f in FEATURES), "class"]
    kinds = ["REAL"] * 16 + ["{" + ",".join(declared) + "}"]
    lines = ["% hls4ml jets", "@RELATION hls4ml_lhc_jets_hlf", ""]
    lines += [f"@ATTRIBUTE {names[i]} {kinds[i]}" for i in order]
    lines += ["", "@DATA"]
    for row, label in zip(x, y, strict=True):
        cells = [*(repr(float(v)) for v in row), CLASSES[label]]
        lines.append(",".join(cells[i] for i in order))
    return "\n".join(lines) + "\n"


@pytest.fixture
def openml(server, truth):
    body = arff(*truth, np.random.default_rng(9)).encode()

    def publish(content: bytes = body, checksum: str | None = None, **options):
        url = server.serve(ARFF_PATH, content, **options)
        about = {"id": "42468", "url": url, "md5_checksum": checksum or md5(body), "format": "ARFF"}
        server.serve("/api/v1/json/data/42468", json.dumps({"data_set_description": about}).encode())
        return body

    return publish


def test_openml_maps_features_and_classes_by_name(openml, server, tmp_path, truth):
    openml()
    task = jets("openml", base_url=server.url, cache_dir=tmp_path)
    np.testing.assert_allclose(task.x, truth[0], rtol=1e-6)
    np.testing.assert_array_equal(task.y, truth[1])
    assert task.output_names == ("g", "q", "t", "w", "z")
    assert task.feature_names == FEATURES
    assert "OpenML 42468" in task.provenance
    again = load_task("jets", source="openml", base_url=server.url + "/", cache_dir=str(tmp_path))
    assert again.digest == task.digest
    assert len(server.ranges_of(ARFF_PATH)) == 1  # the second time from the cache
    assert len(jets("openml", base_url=server.url, cache_dir=tmp_path, n_jets=40).y) == 40


def test_openml_declared_order_of_classes_does_not_matter(tmp_path, truth):
    for declared in (("g", "q", "t", "w", "z"), ("z", "w", "t", "q", "g")):
        path = tmp_path / "a.arff"
        path.write_text(arff(*truth, np.random.default_rng(1), declared=declared))
        np.testing.assert_array_equal(jets(path).y, truth[1])


def test_openml_reads_block_after_block(tmp_path, truth, monkeypatch):
    path = tmp_path / "a.arff"
    path.write_text(arff(*truth, np.random.default_rng(1)))
    whole = read_arff(path)
    monkeypatch.setattr(openml_module, "BLOCK_ROWS", 7)
    parts = read_arff(path)
    np.testing.assert_array_equal(parts.x, whole.x)
    np.testing.assert_array_equal(parts.y, whole.y)
    lines = path.read_text().splitlines()
    lines[40] += ",1.0"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"line 41 has 18 values for 17 attributes"):
        read_arff(path)


def test_openml_quotes_comments_and_blank_lines(tmp_path, truth):
    text = arff(*truth, np.random.default_rng(1)).replace("@ATTRIBUTE zlogz REAL", "@attribute 'zlogz' numeric")
    head, _, rows = text.partition("@DATA\n")
    rows = rows.replace("\n", "\n% a remark\n\n", 1).replace(",g", ",'g'")
    path = tmp_path / "a.arff"
    path.write_text(head + "@data\n" + rows)
    np.testing.assert_array_equal(read_arff(path).y, truth[1])


def test_openml_download_faults(openml, server, tmp_path):
    body = openml(checksum="0" * 32)
    with pytest.raises(DataError, match=r"checksum mismatch"):
        jets("openml", base_url=server.url, cache_dir=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["openml_42468.json"]
    openml(cut_at=len(body) // 2)
    with pytest.raises(DataError, match=r"truncated"):
        jets("openml", base_url=server.url, cache_dir=tmp_path)
    openml()
    assert len(jets("openml", base_url=server.url, cache_dir=tmp_path).y) == N
    assert server.ranges_of(ARFF_PATH)[-1].startswith("bytes=")  # resumed
    server.serve("/api/v1/json/data/42468", b'{"error": {}}')
    with pytest.raises(DataError, match=r"the description lacks 'data_set_description'"):
        jets("openml", base_url=server.url, cache_dir=tmp_path)


def test_openml_without_the_service(openml, server, tmp_path, truth):
    openml()
    jets("openml", base_url=server.url, cache_dir=tmp_path)
    server.replies.clear()
    np.testing.assert_array_equal(jets("openml", base_url=server.url, cache_dir=tmp_path).y, truth[1])
    with pytest.raises(DataError, match=r"HTTP 404"):
        jets("openml", base_url=server.url, cache_dir=tmp_path / "empty")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@ATTRIBUTE n2_b1_mmdt REAL", "@ATTRIBUTE n2_b1 REAL", "no attribute named n2_b1_mmdt; the file has"),
        ("@ATTRIBUTE n2_b1_mmdt REAL", "@ATTRIBUTE zlogz REAL", "no attribute named n2_b1_mmdt"),
        ("@ATTRIBUTE class", "@ATTRIBUTE label", "no attribute named class"),
        ("@ATTRIBUTE n2_b1_mmdt REAL", "@ATTRIBUTE", "line .*: @attribute without a name"),
        ("@DATA", "", "no @data section"),
    ],
)
def test_openml_header_faults(tmp_path, truth, old, new, message):
    path = tmp_path / "a.arff"
    path.write_text(arff(*truth, np.random.default_rng(1)).replace(old, new))
    with pytest.raises(DataError, match=f"a.arff: .*{message}"):
        jets(path)


def test_openml_row_faults(tmp_path, truth):
    text = arff(*truth, np.random.default_rng(1))
    first = text.index("@DATA\n") + len("@DATA\n")
    head, rows = text[:first], text[first:]
    names = [line.split()[1] for line in head.splitlines() if line.startswith("@ATTRIBUTE")]
    place, target = names.index("zlogz"), names.index("class")
    number = head.count("\n") + 1
    path = tmp_path / "a.arff"

    def with_cell(column, value):
        lines = rows.splitlines()
        cells = lines[0].split(",")
        cells[column] = value
        path.write_text("\n".join([head + ",".join(cells), *lines[1:]]))

    for column, value, message in (
        (place, "?", rf"line {number}, attribute zlogz: '\?' is not a number"),
        (place, "nan", rf"line {number}, attribute zlogz: nan is not finite"),
        (place, "1e99", rf"line {number}, attribute zlogz: inf is not finite"),
        (target, "h", rf"line {number}: class 'h' is none of g, q, t, w, z"),
        (target, "0", rf"line {number}: class '0' is none of"),
    ):
        with_cell(column, value)
        with pytest.raises(DataError, match=message):
            jets(path)
    path.write_text(head + "{0 1.0}\n")
    with pytest.raises(DataError, match=r"sparse"):
        jets(path)
    path.write_text(head)
    with pytest.raises(DataError, match=r"no rows after @data"):
        jets(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"is not text"):
        jets(path)
    with pytest.raises(DataError, match=r"cannot be read"):
        jets(tmp_path / "absent.arff")


# --- Zenodo

PARTICLE_NAMES = [
    "j1_" + name
    for name in [
        "px",
        "py",
        "pz",
        "e",
        "erel",
        "pt",
        "ptrel",
        "eta",
        "etarel",
        "etarot",
        "phi",
        "phirel",
        "phirot",
        "deltaR",
        "costheta",
        "costhetarel",
        "pdgid",
    ]
]


def hdf5(path, x, y, rng, *, change=None) -> np.ndarray:
    """One file of the record, the feature columns in an order of their own; returns the particles (n, 20, 3)."""
    # ungroomed twins come first, as in the real files, so that a lookup by prefix or position goes wrong
    twins = [f"j_{f.lower()}" for f in FEATURES if not f.endswith("mMDT") and f not in ("zlogz", "multiplicity")]
    ours = [f"j_{public_name(f)}" for f in FEATURES]
    flags = [f"j_{name}" for name in ("g", "q", "w", "z", "t")]
    names = ["j_ptfrac", "j_pt", *twins, *rng.permutation(ours), *flags, "j_undef"]
    table = rng.normal(size=(len(x), len(names))).astype(np.float32)
    for k, name in enumerate(ours):
        table[:, names.index(name)] = x[:, k]
    table[:, -6:] = 0
    for i, label in enumerate(y):
        table[i, names.index(f"j_{CLASSES[label]}")] = 1
    particles = rng.normal(size=(len(x), 20, 16)).astype(np.float32)
    triple = [PARTICLE_NAMES.index(f"j1_{name}") for name in ("ptrel", "etarel", "phirel")]
    particles[:, :, triple[0]] = rng.random((len(x), 20)) + 0.1
    particles[:, :, triple[2]] = rng.uniform(-0.8, 0.8, (len(x), 20))
    particles[:, :, PARTICLE_NAMES.index("j1_pt")] = 100 * particles[:, :, triple[0]]
    particles[:, 15:] = 0  # padding
    content = {
        "jets": table,
        "jetFeatureNames": np.array([n.encode() for n in names]),
        "jetConstituentList": particles,
        "particleFeatureNames": np.array([n.encode() for n in PARTICLE_NAMES]),
        "jetImage": np.zeros((len(x), 2, 2)),
    }
    if change:
        change(content, names)
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            file[key] = value
    return particles[:, :, triple]


@pytest.fixture
def record(server, truth, tmp_path):
    """The archive of two files on the server; returns the archive and the particles."""
    rng = np.random.default_rng(4)
    x, y = truth
    folder = tmp_path / "made"
    folder.mkdir()
    particles, buffer = [], io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, part in (("jetImage_0", slice(0, 30)), ("jetImage_1", slice(30, N))):
            particles.append(hdf5(folder / f"{name}.h5", x[part], y[part], rng))
            tar.add(folder / f"{name}.h5", f"train/{name}.h5")
        tar.addfile(tarfile.TarInfo("train/notes.txt"))
    body = buffer.getvalue()

    def publish(content: bytes = body, checksum: str | None = None, **options):
        url = server.serve(ARCHIVE_PATH, content, **options)
        entry = {
            "key": ARCHIVE,
            "size": len(body),
            "checksum": f"md5:{checksum or md5(content)}",
            "links": {"self": url},
        }
        server.serve("/api/records/3602260", json.dumps({"id": 3602260, "files": [entry]}).encode())
        return body

    return publish, np.concatenate(particles)


def test_zenodo_maps_features_and_classes_by_name(record, server, tmp_path, truth):
    publish, _ = record
    publish()
    cache = tmp_path / "cache"
    task = jets("zenodo", base_url=server.url, cache_dir=cache)
    np.testing.assert_array_equal(task.x, truth[0])
    np.testing.assert_array_equal(task.y, truth[1])
    assert task.feature_names == FEATURES
    assert "Zenodo 3602260" in task.provenance
    assert jets("zenodo", base_url=server.url, cache_dir=cache).digest == task.digest
    assert len(server.ranges_of(ARCHIVE_PATH)) == 1
    made = sorted(p.name for p in cache.iterdir())
    assert made[:2] == [ARCHIVE, "zenodo_3602260.json"]
    assert len(made) == 3
    assert made[2].startswith("zenodo_3602260_")
    assert len(jets("zenodo", base_url=server.url, cache_dir=cache, n_jets=25).y) == 25


def test_zenodo_constituents_are_the_hardest(record, server, tmp_path):
    publish, particles = record
    publish()
    options = {"base_url": server.url, "cache_dir": tmp_path / "cache"}
    task = jets("zenodo", inputs="constituents", n_constituents=18, **options)
    x = task.x.reshape(N, 18, 3)
    for mine, its in zip(x, particles, strict=True):
        expected = sorted((p for p in its.tolist() if p[0] > 0), reverse=True)
        np.testing.assert_allclose(mine[:15], expected, rtol=1e-5, atol=1e-6)
        assert (mine[15:] == 0).all()
    with pytest.raises(ConfigurationError, match=r"holds 1 to 20 constituents"):
        jets("zenodo", inputs="constituents", n_constituents=21, **options)


def test_zenodo_constituents_below_the_gate_are_left_out(record, server, tmp_path):
    publish, particles = record
    publish()
    options = {"base_url": server.url, "cache_dir": tmp_path / "cache", "pt_min_gev": 60.0}
    task = jets("zenodo", inputs="constituents", n_constituents=20, **options)
    for mine, its in zip(task.x.reshape(N, 20, 3), particles, strict=True):
        expected = sorted((p for p in its.tolist() if p[0] >= 0.6), reverse=True)
        np.testing.assert_allclose(mine[: len(expected)], expected, rtol=1e-5, atol=1e-6)
        assert (mine[len(expected) :] == 0).all()


def test_zenodo_download_faults(record, server, tmp_path, truth):
    publish, _ = record
    options = {"source": "zenodo", "base_url": server.url, "cache_dir": tmp_path / "cache"}
    body = publish(checksum="1" * 32)
    with pytest.raises(DataError, match=r"checksum mismatch"):
        jets(**options)
    publish(cut_at=len(body) // 3)
    with pytest.raises(DataError, match=r"truncated"):
        jets(**options)
    publish()
    np.testing.assert_array_equal(jets(**options).y, truth[1])
    assert server.ranges_of(ARCHIVE_PATH)[-1].startswith("bytes=")
    server.serve("/api/records/3602260", b'{"files": []}')
    with pytest.raises(DataError, match=r"the description lacks 'hls4ml_LHCjet_150p_train.tar.gz'"):
        jets(**options)
    server.replies.clear()
    np.testing.assert_array_equal(jets(**options).y, truth[1])
    with pytest.raises(DataError, match=r"HTTP 404"):
        jets(**options | {"cache_dir": tmp_path / "empty"})


def test_zenodo_unpacks_a_new_version_of_the_archive(record, server, tmp_path, truth):
    publish, _ = record
    options = {"source": "zenodo", "base_url": server.url, "cache_dir": tmp_path / "cache"}
    publish()
    assert len(jets(**options).y) == N
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(tmp_path / "made" / "jetImage_1.h5", "train/jetImage_1.h5")
    publish(content=buffer.getvalue())
    np.testing.assert_array_equal(jets(**options).y, truth[1][30:])


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_zenodo_archive_that_is_none(record, server, tmp_path, content):
    publish, _ = record
    publish(content=content)
    with pytest.raises(DataError, match=r"not a complete tar archive"):
        jets("zenodo", base_url=server.url, cache_dir=tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


def test_zenodo_archive_cut_short_or_without_jets(record, server, tmp_path):
    publish, _ = record
    publish(content=publish()[:-2000])
    with pytest.raises(DataError, match=r"not a complete tar archive"):
        jets("zenodo", base_url=server.url, cache_dir=tmp_path / "cut")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../evil.txt"))
    publish(content=buffer.getvalue())
    with pytest.raises(DataError, match=r"holds no \.h5 file"):
        jets("zenodo", base_url=server.url, cache_dir=tmp_path / "none")


def test_zenodo_members_cannot_leave_the_folder(record, server, tmp_path, truth):
    publish, _ = record
    source = tmp_path / "made" / "jetImage_0.h5"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(source, "../../escaped.h5")
    publish(content=buffer.getvalue())
    assert len(jets("zenodo", base_url=server.url, cache_dir=tmp_path / "a" / "b").y) == 30
    assert not list(tmp_path.glob("escaped.h5")) + list((tmp_path / "a").glob("escaped.h5"))


def test_hdf5_by_path(record, tmp_path, truth):
    np.testing.assert_array_equal(jets(tmp_path / "made").y, truth[1])
    np.testing.assert_array_equal(jets(tmp_path / "made" / "jetImage_0.h5").y, truth[1][:30])


def drop(key):
    return lambda content, names: content.pop(key)


def poke(column, value):
    return lambda content, names: content["jets"].__setitem__((3, names.index(column)), value)


def rename(old, new):
    def change(content, names):
        content["jetFeatureNames"][names.index(old)] = new

    return change


def two_classes(content, names):
    content["jets"][5, [names.index("j_g"), names.index("j_t")]] = 1


def no_class(content, names):
    content["jets"][6, -6:] = 0


def poke_particle(content, names):
    content["jetConstituentList"][4, 2, PARTICLE_NAMES.index("j1_ptrel")] = np.nan


def shorten(content, names):
    content["jetConstituentList"] = content["jetConstituentList"][:-1]


def flatten(content, names):
    content["jets"] = content["jets"][:, 0]


def empty(content, names):
    content["jets"] = content["jets"][:0]


@pytest.mark.parametrize(
    ("change", "inputs", "message"),
    [
        (drop("jets"), "hlf", "no data set jets; the file has"),
        (drop("jetFeatureNames"), "hlf", "no data set jetFeatureNames"),
        (drop("jetConstituentList"), "constituents", "no data set jetConstituentList"),
        (rename("j_n2_b1_mmdt", b"j_n2_b1_sdb2"), "hlf", "no jet feature named j_n2_b1_mmdt"),
        (rename("j_t", b"j_top"), "hlf", "no label column named j_t"),
        (rename("j_pt", b"j_zlogz"), "hlf", "jet feature j_zlogz appears more than once"),
        (poke("j_zlogz", np.nan), "hlf", r"jet features\[3, 0\] is nan"),
        (poke("j_mass_mmdt", np.inf), "hlf", r"jet features\[3, 14\] is inf"),
        (poke("j_g", 0.5), "hlf", r"jets\[3\] has class flags \{'g': 0.5"),
        (two_classes, "hlf", r"jets\[5\] has class flags .*'g': 1.0.*'t': 1.0.*exactly one must be 1 \(1 such rows\)"),
        (no_class, "hlf", r"jets\[6\] has class flags"),
        (poke("j_undef", 1), "hlf", None),
        (poke_particle, "constituents", r"constituents\[4, 2, 0\] is nan"),
        (shorten, "constituents", "29 rows in jetConstituentList for 30 in jets"),
        (flatten, "hlf", r"jets has shape \(30,\); it must have 2 axes"),
        (empty, "hlf", r"jets has shape \(0, .*at least one row"),
    ],
)
def test_hdf5_faults(tmp_path, truth, change, inputs, message):
    path = tmp_path / "a.h5"
    hdf5(path, truth[0][:30], truth[1][:30], np.random.default_rng(3), change=change)
    if message is None:
        assert len(jets(path, inputs=inputs).y) == 30
    else:
        with pytest.raises(DataError, match=f"a.h5: .*{message}"):
            jets(path, inputs=inputs)


def test_files_that_are_not_hdf5(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"not this")
    with pytest.raises(DataError, match=r"a.h5: is not a readable HDF5 file"):
        jets(tmp_path / "a.h5")
    with pytest.raises(DataError, match=r"no such file"):
        jets(tmp_path / "b.h5")
    with pytest.raises(DataError, match=r"no \.h5 file to read"):
        read_files([], "hlf")
    with pytest.raises(ConfigurationError, match=r"task.inputs"):
        read_files([tmp_path / "a.h5"], "images")
