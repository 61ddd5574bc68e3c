"""A file is written whole or not at all, and a full disk is said in one message."""

import errno
import io
from pathlib import Path

import pytest

import statlm as slm
from statlm.errors import NotWritten, StatlmError
from statlm.fit import storage
from statlm.interop import arpa
from statlm.text.writing import written_whole


class FullDisk(io.StringIO):
    """A file that takes a little and then no more."""

    def write(self, text):
        if self.tell() > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


@pytest.fixture(scope="module")
def fit():
    return slm.NGram(2, smoothing="kneser-ney").fit(slm.Corpus.from_texts(["a rose is a rose", "is a rose"], "word"))


def test_the_target_is_replaced_when_all_went_well(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with written_whole(target) as path:
        path.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()], ids=repr)
def test_any_other_error_passes_and_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")

    def fail():
        with written_whole(target) as path:
            path.write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file", "old")]


def test_a_full_disk_leaves_the_old_arpa_file(fit, tmp_path, monkeypatch):
    target = tmp_path / "model.arpa"
    target.write_text("old")
    monkeypatch.setattr(arpa, "_create", lambda path, compressed: FullDisk())
    with pytest.raises(
        NotWritten, match=r"model\.arpa could not be written: No space left on device\. What stood there before"
    ):
        arpa.write(fit, target)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("model.arpa", "old")]


@pytest.mark.parametrize("what", ["arrays", "description"])
def test_a_full_disk_leaves_the_old_fit(fit, tmp_path, monkeypatch, what):
    folder = tmp_path / "fit"
    fit.save(folder)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if what == "arrays":
        monkeypatch.setattr("safetensors.numpy.save_file", full)
    else:
        monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(NotWritten, match="fit could not be written: No space left on device"):
        slm.NGram(1).fit(fit.corpus).save(folder)
    monkeypatch.undo()
    assert slm.load(folder).specification == fit.specification
    assert [p.name for p in tmp_path.iterdir()] == ["fit"]
    assert storage.DESCRIPTION in {p.name for p in folder.iterdir()}


def test_a_library_that_reports_a_full_disk_in_its_own_way_is_understood(fit, tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*args, **kwargs):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(NotWritten, match="No space left on device"):
        fit.save(tmp_path / "fit")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(fit, tmp_path):
    with pytest.raises(NotWritten, match=r"could not be written: No such file or directory\..*choose another place"):
        arpa.write(fit, tmp_path / "nowhere" / "model.arpa")
    assert issubclass(NotWritten, OSError)
    assert issubclass(NotWritten, StatlmError)
