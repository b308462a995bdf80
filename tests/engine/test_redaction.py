"""What the values of secrets are found in."""

import json
import logging
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apflow.redaction import MASK, MOST, SHORTEST, Redaction
from apflow.values import encode


@pytest.fixture
def redaction():
    redaction = Redaction()
    yield redaction
    redaction.close()


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=SHORTEST, max_size=60)
around = st.text(max_size=5)


@given(values, around, around)
def test_a_value_is_found_in_each_of_its_forms_whatever_stands_around_it(value, before, after):
    redaction = Redaction()
    redaction.add(value)
    try:
        whole = f"{before}{value}{after}".encode()
        for told in (
            f"{before}{value}{after}",
            json.dumps([before, value]),
            json.dumps([before, value], ensure_ascii=False),
            quote(value, safe="") + after,
            quote(value),
            quote_plus(value),
            repr(value),
            b64encode(whole).decode(),
            urlsafe_b64encode(whole).decode(),
            whole.hex(),
        ):
            assert MASK in redaction.text(told)
            assert redaction.finds(encode(told))
    finally:
        redaction.close()


@given(st.text(alphabet="abcdef", min_size=SHORTEST, max_size=12), st.lists(st.text(alphabet="abcdefgh /%", max_size=20)))
def test_what_was_redacted_holds_the_value_no_more_and_the_rest_stays(value, texts):
    redaction = Redaction()
    redaction.add(value)
    try:
        told = {"list": texts, "number": 1.5, "nothing": None, "yes": True}
        redacted = redaction.json(told)
        assert not redaction.finds(encode(redacted))
        for before, after in zip(texts, redacted["list"], strict=True):
            assert after == before if value not in before else MASK in after
        assert redacted | {"list": texts} == told
    finally:
        redaction.close()


def test_names_and_numbers_are_redacted_too(redaction):
    redaction.add("12345678")
    told = {"a12345678": [12345678, 1234567, 123456789.5, True], "b": {"c": "x 12345678"}}
    assert redaction.json(told) == {"a***": ["***", 1234567, "***", True], "b": {"c": "x ***"}}


def test_what_holds_no_value_is_handed_back_as_it_is(redaction):
    redaction.add("a long value")
    told = {"a": ["b"]}
    assert redaction.json(told) is told


def test_the_longest_form_goes_first(redaction):
    redaction.add("secret")
    redaction.add("secret-of-mine")
    assert redaction.text("it is secret-of-mine, secret") == "it is ***, ***"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n  hkiG9w0BAQEFAASC\nab\n-----END KEY-----\n",
            "at MIIEvQIBADANBgkq, hkiG9w0BAQEFAASC",
        ),
        ("postgres://ada:love%2Flace@db/flow", "user=ada password=love/lace, love%2Flace"),
        ("https://hooks.example.com/services/T0/B0/xyz", "404 for /services/T0/B0/xyz"),
    ],
)
def test_parts_that_are_as_secret_as_the_whole_are_found(redaction, value, told):
    redaction.add(value)
    redacted = redaction.text(told)
    assert MASK in redacted
    assert not any(part in redacted for part in ("MIIE", "hkiG", "lace", "xyz"))
    assert redaction.text("-----BEGIN KEY-----") == "-----BEGIN KEY-----"
    assert redaction.text("ada and db") == "ada and db"


def test_only_so_many_values_are_remembered_the_last_ones(redaction):
    for n in range(MOST + 1):
        redaction.add(f"value {n:06}")
        redaction.add("value 000000")
    assert redaction.text("value 000000, value 000001, value 000002") == "***, value 000001, ***"


def test_another_factory_of_log_records_that_came_later_stays(redaction):
    original = logging.getLogRecordFactory()
    redaction.add("a long value")
    ours = logging.getLogRecordFactory()

    def theirs(*args, **kwargs):
        return ours(*args, **kwargs)

    logging.setLogRecordFactory(theirs)
    try:
        make = logging.getLogger("x").makeRecord
        assert make("x", 30, "f", 1, "a long value", (), None).getMessage() == MASK
        redaction.close()
        assert logging.getLogRecordFactory() is theirs
        assert make("x", 30, "f", 1, "a long value", (), None).getMessage() == "a long value"
    finally:
        logging.setLogRecordFactory(original)


def test_two_at_once_hide_the_values_of_both():
    original = logging.getLogRecordFactory()
    one, two = Redaction(), Redaction()
    one.add("value of one")
    two.add("value of two")
    make = logging.getLogger("x").makeRecord
    try:
        told = "value of one, value of two"
        assert make("x", 30, "f", 1, told, (), None).getMessage() == "***, ***"
        one.close()
        assert make("x", 30, "f", 1, told, (), None).getMessage() == "value of one, ***"
        two.close()
        assert make("x", 30, "f", 1, told, (), None).getMessage() == told
    finally:
        logging.setLogRecordFactory(original)
