from __future__ import annotations

import re

from stapes.devserver.session.speaking import sentences


def cut(text: str) -> list[str]:
    return ["".join(one).strip() for one in sentences(re.findall(r"\s*\S+", text))]


def test_text_is_cut_after_sentences_and_nothing_is_lost() -> None:
    text = "The hotel was built in 1908. Is it open to guests today? Yes. It is open all year"
    assert cut(text) == [
        "The hotel was built in 1908.",
        "Is it open to guests today?",
        "Yes. It is open all year",
    ]


def test_an_abbreviation_does_not_end_a_sentence_of_its_own() -> None:
    assert cut("Dr. Smith is here today again.") == ["Dr. Smith is here today again."]
