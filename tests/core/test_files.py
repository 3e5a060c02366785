"""Files that processes leave behind, and files that distributions bring."""

import pytest

from scarce.errors import PluginError
from scarce.files import packaged, read_lines


def test_lines_that_a_killed_process_cut_short_are_left_out(tmp_path):
    log = tmp_path / "log.jsonl"
    assert read_lines(log) == []
    log.write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_lines(log) == [{"step": 1}]
    with log.open("a") as file:  # what a resumed process appends begins on the cut line
        file.write('{"step": 2}\n{"step": 3}\n')
    assert read_lines(log) == [{"step": 1}, {"step": 3}]


def test_a_packaged_file_is_found_without_an_import_or_named_with_the_command():
    assert packaged("pytest", "pytest/__init__.py", install="pytest").is_file()
    with pytest.raises(PluginError, match="no-such-package, which is not installed") as caught:
        packaged("no-such-package", "x", install="--no-deps no-such-package")
    assert caught.value.hint == "pip install --no-deps no-such-package"
    with pytest.raises(PluginError, match="has no pytest/gone") as caught:
        packaged("pytest", "pytest/gone", install="pytest")
    assert "--upgrade" in caught.value.hint
