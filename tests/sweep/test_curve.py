"""A value of each epoch, followed while a run writes it down."""

from pathlib import Path

from gradpath.sweep.curve import Curve

HEAD = "step,epoch,train/loss,val/loss\n"


def test_each_epoch_is_seen_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    curve = Curve(path, "val/loss")
    assert curve.new() == []
    path.write_text(HEAD[:10])
    assert curve.new() == []
    path.write_text(HEAD)
    assert curve.new() == []
    with path.open("a") as file:
        file.write("5,1,0.5,\n5,1,,0.25\n7,2,0.4,\n10,2,,0.1")
        file.flush()
        # The value of an epoch is not that of the row after it, and a half-written line is no row.
        assert curve.new() == [(1, 0.25)]
        file.write("25\n15,3,,nan\n")
        file.flush()
        (second, third) = curve.new()
    assert second == (2, 0.125)
    assert third[0] == 3
    assert curve.new() == []


def test_a_run_that_goes_on_writes_its_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    curve = Curve(path, "val/loss")
    path.write_text(f"{HEAD}5,1,,0.25\n10,2,,0.5\n")
    assert curve.new() == [(1, 0.25), (2, 0.5)]
    new = tmp_path / "new"
    new.write_text(f"{HEAD}5,1,,0.25\n")
    new.replace(path)
    assert curve.new() == [(1, 0.25)]
    with path.open("a") as file:
        file.write("10,2,,0.4\n")
    assert curve.new() == [(2, 0.4)]
    assert Curve(path, "val/accuracy").new() == []
