"""What a fuzzer found worth keeping: each is read, or refused in words."""

import fuzz
import pytest

FILES = sorted(path for path in fuzz.HOME.rglob("*") if path.is_file())


def test_there_is_a_corpus_for_each_reader():
    assert {path.parent.name for path in FILES} == set(fuzz.READERS)


@pytest.mark.parametrize("name", fuzz.READERS)
def test_nothing_but_errors_of_ours(name):
    for path in FILES:
        if path.parent.name == name:
            fuzz.one(name, path.read_bytes())
