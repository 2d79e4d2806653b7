"""Phone numbers: what people and products write becomes E.164, or is left out with the reason."""

import json
import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.country_names import country_names
from worker import phone_numbers
from worker.normalise import normalise
from worker.phone_numbers import COUNTRY_NAMES, country_of

LEFT_OUT = "left out: not a phone number"
NO_CODE = "left out: a phone number without a country code"
UNKNOWN_COUNTRY = f"{NO_CODE}, and the delivery names an unknown country"
TWO_NUMBERS = "left out: a phone number that can mean two numbers; write it with a plus"
BESIDE = "text beside the number removed"


def read(written: object, region: str | None = None, **country: object) -> tuple[str | None, list[str]]:
    signup = normalise({"identifier": "7", "phone_number": written, **country}, region=region)
    assert all(note.field == "phone_number" for note in signup.notes)
    return signup.contact.phone_number, [note.text for note in signup.notes]


@pytest.mark.parametrize(
    "written",
    [
        "whatsapp:+4917112345678",  # Twilio
        "WhatsApp: +49 171 12345678",
        "4917112345678@s.whatsapp.net",  # WhatsApp's own ids, as WAHA and Evolution API send them
        "4917112345678@c.us",
        "https://wa.me/4917112345678",
        "wa.me/4917112345678",
        "whatsapp://send?phone=4917112345678",
        "https://api.whatsapp.com/send?phone=+4917112345678",
        "facetime:+4917112345678",
        "rcs:+4917112345678",  # Twilio
        "skype:+4917112345678?call",
        "tel:+4917112345678;phone-context=example.com",  # RFC 3966
        "+\u0664\u0669\u0661\u0667\u0661\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "p:+4917112345678",  # Meta's lead ads
        "tel:+4917112345678",
        "TEL: +49-171-12345678",
        "sms:+4917112345678",
        "callto:+4917112345678",
        "callto://+4917112345678",
        "tel://+4917112345678",
        "Mobile: +49 171 12345678",
        "Tel.: +49 171 12345678",
        "M: +49 171 12345678",
        "Tel +49 171 12345678",
        "+49\t171\n12345678",
        "\u260e\ufe0f +49 171 12345678",
        "\U0001f4de+49 171 12345678",
        "Phone number: +49 171 12345678",
        "+49 (0) 171 12345678",
        "+49(0)171/12345678",
        "+ 49 171 12345678",
        "++49 171 12345678",
        "+0049 171 12345678",
        "'+4917112345678",  # a spreadsheet's sign for text
        '"+49 171 12345678"',
        "<+4917112345678>",
        "+49 171 12345678.",
        "+49 171 12345678,",
        "\uff0b\uff14\uff19 \uff11\uff17\uff11 \uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
        "+\u0664\u0669 \u0661\u0667\u0661 \u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "+49\u2011171\u201112345678",
        "\u202a+49\u00a0171\u00a012345678\u202c",
        "+49\u200b171\u00ad12345678\ufeff",
    ],
)
def test_plain_things_are_understood(written: str) -> None:
    assert read(written) == ("+4917112345678", [])


@pytest.mark.parametrize(
    ("written", "note"),
    [
        ("+1 212 555 0130 (mobile)", BESIDE),
        ("+1 212 555 0130 [work]", BESIDE),
        ("(home) +1 212 555 0130", BESIDE),
        ("+1 212 555 0130 mobile", BESIDE),
        ("+1 212 555 0130 - Cell", BESIDE),
        ("+1 212 555 0130, office", BESIDE),
        ("+1 212 555 0130 (B\u00fcro)", BESIDE),
        ("+12125550130.0", BESIDE),  # what pandas makes of a column with gaps
        ("+1 212 555 0130 x101", "extension removed"),
        ("+1 212 555 0130, ext. 5", "extension removed"),
        ("+1 212 555 0130 Ext: 5", "extension removed"),
        ("+1 212 555 0130 poste 5", "extension removed"),
        ("+1 212 555 0130 Durchwahl 5", "extension removed"),
        ("+1 212 555 0130 ramal 5", "extension removed"),
        ("+1 212 555 0130 \u0434\u043e\u0431. 5", "extension removed"),
    ],
)
def test_what_is_beside_a_number_is_removed(written: str, note: str) -> None:
    assert read(written) == ("+12125550130", [note])


@pytest.mark.parametrize(
    "written",
    [
        "call +1 212 555 0130",
        "+1 212 555 0130 or +1 212 555 0131",
        "+1 212 555 0130 / +1 212 555 0131",
        "+1 212 555 0130 rm -rf",
        "+1 212 555 0130 (2125550131)",
        "1-800-FLOWERS",
        "fax:+12125550130",
        "https://x.example/12125550130",
        "2125550130@x.example",
        "2.1255501E9",
        "-",
        "none",
    ],
)
def test_other_things_are_left_out(written: str) -> None:
    assert read(written, "US") == (None, [LEFT_OUT])


# The country of a number without a plus


@pytest.mark.parametrize(
    ("country", "written", "number"),
    [
        ("FR", "06 12 34 56 78", "+33612345678"),  # Shopify: default_address.country_code
        ("fr", "06 12 34 56 78", "+33612345678"),
        ("FRA", "06 12 34 56 78", "+33612345678"),
        ("IRL", "01 234 5678", "+35312345678"),  # Intercom: location.country_code has three letters
        ("France", "06 12 34 56 78", "+33612345678"),  # HubSpot, Klaviyo and Salesforce write names
        ("united kingdom", "020 7946 0958", "+442079460958"),
        ("UK", "020 7946 0958", "+442079460958"),
        ("USA", "(212) 555-0130", "+12125550130"),
        ("United States", "212.555.0130", "+12125550130"),
        ("+49", "0171 12345678", "+4917112345678"),
        (" DE\u200b", "0171 12345678", "+4917112345678"),
        ("DE", "011 49 30 12345678", None),
        ("US", "011 49 30 12345678", "+493012345678"),
        ("US", "00 49 30 12345678", "+493012345678"),
        ("FR", "+49 30 12345678", "+493012345678"),
    ],
)
def test_the_country_of_the_delivery_goes_before_the_regions(country: str, written: str, number: str | None) -> None:
    assert read(written, "BR", country=country) == (number, [] if number else [LEFT_OUT])


@pytest.mark.parametrize("country", ["XX", "ZZZ", "Atlantis", "undefined", "49", 49, ["FR"], {"code": "FR"}, True])
def test_an_unknown_country_is_none(country: object) -> None:
    assert read("212 555 0130", "US", country=country) == (None, [UNKNOWN_COUNTRY])
    assert read("+1 212 555 0130", "US", country=country) == ("+12125550130", [])


@pytest.mark.parametrize("country", [None, "", "  ", "\u200b"])
def test_without_a_country_the_region_counts(country: object) -> None:
    assert read("212 555 0130", "US", country=country) == ("+12125550130", [])
    assert read("212 555 0130", None, country=country) == (None, [NO_CODE])


@pytest.mark.parametrize(
    ("region", "written"),
    [
        ("US", "06 12 34 56 78"),  # a French number
        ("US", "0171 2345678"),  # a German one
        ("US", "555-625-1199"),  # no such area
        ("US", "1234567890"),
        ("US", "9999999999"),
        ("GB", "07700 900123"),  # Ofcom's numbers for films
        ("FR", "212 555 0130"),
        ("IN", "01234 567890 12"),
    ],
)
def test_a_number_without_a_plus_must_be_valid(region: str, written: str) -> None:
    assert read(written, region) == (None, [LEFT_OUT])


def test_a_number_with_a_plus_must_only_be_possible() -> None:
    assert read("+15556251199") == ("+15556251199", [])
    assert read("+447700900123") == ("+447700900123", [])


def test_a_number_that_can_mean_two_is_left_out() -> None:
    """It may begin with the country's code or with an area's."""
    assert read("4917112345678", "DE") == (None, [TWO_NUMBERS])
    assert read("12125550130", "US") == ("+12125550130", [])
    assert read("5511912345678", "BR") == ("+5511912345678", [])


@pytest.mark.parametrize(
    ("written", "region"),
    [
        *(("de", "DE"), ("DEU", "DE"), ("Germany", "DE"), ("Federal Republic of Germany", "DE"), ("el", "GR")),
        *(
            ("South Korea", "KR"),
            ("Korea, Republic of", "KR"),
            ("Taiwan", "TW"),
            ("Vietnam", "VN"),
            ("T\u00fcrkiye", "TR"),
        ),
        *(
            ("Deutschland", "DE"),
            ("\u00d6STERREICH", "AT"),
            ("Allemagne", "DE"),
            ("\u65e5\u672c", "JP"),
            ("Brasil", "BR"),
        ),
        *(("Holland", "NL"), ("England", "GB"), ("Russia", "RU"), ("+1", "US"), ("0044", "GB"), ("Kosovo", "XK")),
        *(("de-AT", "AT"), ("pt_BR", "BR"), ("US-CA", "US"), ("\U0001f1eb\U0001f1f7", "FR"), ("UAE", "AE")),
        *(("AQ", None), ("", None), ("276", None), ("x" * 999, None), ("Atlantis", None), (None, None)),
    ],
)
def test_countries(written: object, region: str | None) -> None:
    assert country_of(written) == region


CODES = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@given(st.builds(lambda code, rest: f"+{code}{rest}", CODES, st.from_regex("[0-9]{3,12}", fullmatch=True)))
def test_the_shortcut_for_plain_numbers_agrees_with_the_library(written: str) -> None:
    if phone_numbers.is_e164(written):
        number = phonenumbers.parse(written)
        assert phonenumbers.is_possible_number(number)
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == written


def test_the_shortcut_takes_the_numbers_of_most_countries() -> None:
    numbers = filter(None, (phonenumbers.example_number(region) for region in phonenumbers.SUPPORTED_REGIONS))
    plain = [phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) for number in numbers]
    assert sum(phone_numbers.is_e164(number) for number in plain) > 230


def test_the_names_of_countries_are_those_of_the_library() -> None:
    assert json.loads(COUNTRY_NAMES.read_text(encoding="utf-8")) == country_names()


def test_a_foreign_name_of_a_country_takes_little_memory() -> None:
    code = "import sys; from worker.phone_numbers import country_of; assert country_of('Alemania') == 'DE'; "
    code += "assert 'phonenumbers.geodata.locale' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=COUNTRY_NAMES.parents[1], check=True)
