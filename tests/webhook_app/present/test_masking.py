"""Text that LiveDesk, a sender or a person wrote shows nobody's address, number or name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import ADA
from webhook_app.present.masking import masked_text


@pytest.mark.parametrize(
    "text",
    [
        "lena@musterfrau.example has already been taken",
        '{"message":"Email has been taken","value":"lena@musterfrau.example"}',
        "GET /search?q=lena%40musterfrau.example&page=1",
        '{"email": "lena\\u0040musterfrau.example"}',
        "<a href='mailto:lena@musterfrau.example'>lena&#64;musterfrau.example</a>",
        '"lena m"@musterfrau.example is invalid',
        "lena＠musterfrau.example",
        "E-Mail:lena@musterfrau.example,phone:none",
        "lena@musterfrau.example@musterfrau.example",
        "(lena@musterfrau.example)",
    ],
)
def test_an_address_is_masked_however_it_is_written(text: str) -> None:
    shown = masked_text(text)
    assert "musterfrau" not in shown
    assert "lena@" not in shown
    assert "l***" in shown or '"***' in shown


@pytest.mark.parametrize(
    "number",
    ["+4915112345678", "+49 151 1234 5678", "0151/1234567", "(030) 123-45 67", "004915112345678", "030 1234567"],
)
def test_a_phone_number_is_masked_however_it_is_written(number: str) -> None:
    shown = masked_text(f"phone {number} has already been taken, see {number}")
    assert number not in shown
    assert shown.endswith(("***78", "***67"))


@pytest.mark.parametrize(
    "text",
    [
        "Payment required: upgrade your plan",
        "contact 4711 has it since 2026-11-29 12:30:00 (HTTP 422, 3.5 s)",
        "Ticket 1234567: an @ alone, 10% of 1000",
        "left out: LiveDesk contact 1795959065955 has it",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert masked_text(text) == text


def test_the_values_of_the_contact_are_masked_as_well() -> None:
    text = "ADA LOVELACE (Lovelace, ada) has been taken; see https://example.com/ada.png"
    shown = masked_text(text, ADA)
    assert "lovelace" not in shown.lower()
    assert "ada" not in shown.lower()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.text(max_size=40))
def test_whatever_is_around_it(before: str, after: str) -> None:
    assert "lena@example.com" not in masked_text(f"{before}lena@example.com{after}")
