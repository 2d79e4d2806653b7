"""Phone numbers: from what people and products write to E.164 (ITU-T)."""

import json
import re
import unicodedata
from functools import cache
from pathlib import Path

import phonenumbers
import pycountry
from phonenumbers import CountryCodeSource, PhoneNumber, ValidationResult
from phonenumbers.phonemetadata import PhoneMetadata

#: The region of each country's name in all languages (``tests/worker/country_names.py`` writes it).
COUNTRY_NAMES = Path(__file__).parent / "country_names.json"
#: Characters; far above E.164's 15 digits with any punctuation and a label. Limits what the library parses.
MAX_TEXT = 96
#: Not in ISO 3166-1, and still written: by people, and by the European Union.
_OTHER_CODES = {"UK": "GB", "EL": "GR", "XK": "XK", "KOSOVO": "XK", "XKX": "XK"}
#: Names that people write; ISO's are longer.
_OTHER_NAMES = {
    name: region
    for region, names in {
        "US": "USA,U.S.,U.S.A.,UNITED STATES OF AMERICA",
        "GB": "GREAT BRITAIN,ENGLAND,SCOTLAND,WALES,NORTHERN IRELAND",
        "NL": "HOLLAND,THE NETHERLANDS",
        "RU": "RUSSIA",
        "TR": "TURKEY",
        "KR": "SOUTH KOREA",
        "KP": "NORTH KOREA",
        "VN": "VIETNAM",
        "LA": "LAOS",
        "AE": "UAE,U.A.E.",
        "CZ": "CZECH REPUBLIC",
        "MK": "MACEDONIA",
        "CI": "IVORY COAST",
        "CV": "CAPE VERDE",
        "SZ": "SWAZILAND",
        "BN": "BRUNEI",
        "MO": "MACAU",
        "PS": "PALESTINE",
        "MM": "BURMA",
    }.items()
    for name in names.split(",")
}
#: A language with its country (``de-AT``, ``pt_BR``), and a country with its part (ISO 3166-2: ``US-CA``).
_LOCALE, _REGIONAL = re.compile(r"[a-z]{2,3}[-_]([A-Z]{2})"), re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}")
#: The letters of flags.
_FLAGS = {0x1F1E6 + number: chr(ord("A") + number) for number in range(26)}
_CALLING_CODE = re.compile(r"(?:\+|00)\s*([1-9][0-9]{0,2})")

#: What products put before a number: URI schemes (RFC 3966, RFC 5724), messengers, Meta's lead ads (``p:+49...``), and
#: the words of signatures. Any other word before a number makes a sentence of it.
_KINDS = "tel|telephone|telefon|phone(?: number)?|mobile?|cell|mob|ph|handy|whatsapp"
_BEFORE = re.compile(
    r"(?:https?://)?(?:wa\.me/|api\.whatsapp\.com/send/?\?phone=)|whatsapp://send/?\?phone="
    rf"|(?:{_KINDS})\s+(?=[+(\d])|(?:{_KINDS}|sms|smsto|callto|wa|viber|signal|[ptmchw])\s*[.:]+\s*(?://)?"
    r"|(?!fax)[a-z][a-z-]*:(?=\+)",
    re.IGNORECASE,
)
_LABEL = r"(?:mobile?|cell|cellphone|home|work|office|main|private|business|whatsapp|landline|phone|preferred|default)"
#: What stands beside a number: a word in brackets, or one of a few without.
_BESIDE = re.compile(
    rf"^(?:\([^\W\d][^()\d]*\)|\[[^\W\d][^\[\]\d]*\])\s*|\s*(?:\([^\W\d][^()\d]*\)|\[[^\W\d][^\[\]\d]*\]"
    rf"|[\s,/-]+{_LABEL}\.?)$",
    re.IGNORECASE,
)
#: What links add behind a number (RFC 3966, Skype, SIP).
_AFTER = re.compile(r";(?:phone-context|isub)=.*\Z|\?(?:call|chat|body=.*)\Z", re.IGNORECASE)
#: WhatsApp's own form of a number, which is international and has no plus.
_WHATSAPP_ID = re.compile(r"([1-9][0-9]{6,14})@(?:s\.whatsapp\.net|c\.us)")
_QUOTES = "\"'`*\u260e\u260f\u2706\U0001f4de\U0001f4f1\U0001f4f2\u2018\u2019\u201c\u201d\u00ab\u00bb<>,;:= "
#: A spreadsheet's number, which has a fraction.
_FRACTION = re.compile(r"(\+?[0-9]{7,15})\.0+")
_TWO_PLUSES = re.compile(r"[+\s]*\+\s*(?:00)?\s*(?=[1-9(])")
#: A number with an optional extension and nothing else: the library would also find one in a sentence.
_NUMBER = re.compile(
    r"[\s(]*([+\d][\d\s().\-/\u2010-\u2015\u2212]*)"
    r"(\s*(?:;ext=|,?\s*(?:ext|extn|int|доб)\.?|,?\s*extension|x|#|poste|durchwahl|interno|ramal|anexo)[\s:]*\d{1,7})?",
    re.IGNORECASE,
)
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_PLAIN = re.compile(r"\+[1-9][0-9 ]{1,20}", re.ASCII)
#: What the library says about a number that was written with its country's code.
_WITH_CODE = (CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN, CountryCodeSource.FROM_NUMBER_WITH_IDD)


class NotAPhoneNumber(ValueError):
    """The text says why and does not repeat the number."""


def to_e164(text: str, region: str | None) -> tuple[str, str]:
    """Return a number in E.164, and a remark about what was removed.

    A number with its country's code must have a possible length. Any other must be valid in ``region`` (ISO 3166-1,
    two capital letters), because with another country's code it would be a stranger's.

    Raises:
        NotAPhoneNumber: it is not one, or has neither code nor region.
    """
    if _PLAIN.fullmatch(text):
        return _international(text), ""
    if len(text) > MAX_TEXT:
        raise NotAPhoneNumber("not a phone number")
    bare, remark = _bare(" ".join(unicodedata.normalize("NFKC", text).split()))
    match = _NUMBER.fullmatch(bare)
    if match is None:
        raise NotAPhoneNumber("not a phone number")
    number = _international(match[1]) if match[1].startswith("+") else _national(match[1], region)
    return number, "extension removed" if match[2] else remark


def country_of(value: object) -> str | None:
    """Return the region of a country, or ``None`` if there is no such country.

    It is written as a code of ISO 3166-1, as a name in any language, or as a calling code with a plus.
    """
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return None
    written = value.strip()
    if match := _LOCALE.fullmatch(written) or _REGIONAL.fullmatch(written):
        written = match[1]
    written = written.translate(_FLAGS).upper()
    if match := _CALLING_CODE.fullmatch(written):
        region: str | None = phonenumbers.region_code_for_country_code(int(match[1]))
    else:
        region = written if len(written) == 2 and written.isascii() else None
        region = _OTHER_CODES.get(written) or region or _OTHER_NAMES.get(written) or _names().get(written)
        region = region or _foreign_names().get(written.casefold())
    return region if region in phonenumbers.SUPPORTED_REGIONS else None


@cache
def _names() -> dict[str, str]:
    """Return the region of each three-letter code and English name, in capitals."""
    return {
        name.upper(): country.alpha_2
        for country in pycountry.countries
        for key in ("alpha_3", "name", "common_name", "official_name")
        if (name := getattr(country, key, None))
    }


@cache
def _foreign_names() -> dict[str, str]:
    """Return the region of each name in the languages of Unicode's CLDR."""
    names: dict[str, str] = json.loads(COUNTRY_NAMES.read_text(encoding="utf-8"))
    return names


def _bare(text: str) -> tuple[str, str]:
    """Return a number without what stands around it, and a remark."""
    if match := _WHATSAPP_ID.fullmatch(text):
        return f"+{match[1]}", ""
    text = _AFTER.sub("", text.strip(_QUOTES))
    if match := _BEFORE.match(text):
        rest = text[match.end() :]
        text = "+" + rest.lstrip("+") if "wa.me/" in match[0].lower() or match[0].endswith("=") else rest
    without = _BESIDE.sub("", text.strip(_QUOTES))
    if match := _FRACTION.fullmatch(without):
        without = match[1]
    return _TWO_PLUSES.sub("+", without, count=1), "" if without == text else "text beside the number removed"


def _international(text: str) -> str:
    return text if is_e164(text) else _written(_parsed(text, None))


def is_e164(text: str) -> bool:
    """Whether a text is in E.164 already, without a doubt that needs the library.

    The library's own answer takes ten times as long, and most numbers are such.
    """
    digits = text[1:]
    if text[:1] != "+" or not (digits.isascii() and digits.isdecimal()):
        return False
    if (plan := _plan(digits[:3])) is None:
        return False
    code_length, lengths, trunk_prefix = plan
    number = digits[code_length:]
    return len(number) in lengths and number[0] != "0" and not trunk_prefix.match(number)


@cache
def _plan(begins: str) -> tuple[int, frozenset[int], re.Pattern[str]] | None:
    """Return the plan of numbers that begin with these three digits.

    It is the length of the country's code, the possible lengths of the rest, and what is not dialled from abroad.
    """
    if begins[0] == "0":  # no code does
        return None
    for length in (1, 2, 3):
        code = int(begins[:length])
        if code not in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            continue
        region = phonenumbers.region_code_for_country_code(code)
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        if metadata is not None and metadata.general_desc is not None:
            possible = frozenset(metadata.general_desc.possible_length)
            local = metadata.general_desc.possible_length_local_only
            return length, possible.difference(local), re.compile(metadata.national_prefix_for_parsing or "(?!)")
    return None


def _national(text: str, region: str | None) -> str:
    """Return a number without a plus in E.164.

    ``00`` is the prefix for calls abroad in nearly all countries.
    """
    number = _parsed(text, region) if region else None
    if number is not None and number.country_code_source in _WITH_CODE:
        return _written(number)
    if number is not None and phonenumbers.is_valid_number(number):
        if _is_ambiguous(text, number):
            raise NotAPhoneNumber("a phone number that can mean two numbers; write it with a plus")
        return _written(number)
    if text.startswith("00"):
        return _written(_parsed("+" + text[2:], None))
    raise NotAPhoneNumber("not a phone number" if region else "a phone number without a country code")


def _is_ambiguous(text: str, number: PhoneNumber) -> bool:
    """Whether a number that is valid as it is would also be one with a plus before it."""
    digits = str(phonenumbers.normalize_digits_only(text))
    if not digits.startswith(str(number.country_code)) or str(number.national_number) != digits:
        return False
    other = _parsed(f"+{digits}", None)
    return other is not None and bool(phonenumbers.is_valid_number(other))


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        return None


def _written(number: PhoneNumber | None) -> str:
    """Return a number in E.164, if one of this length can be dialled from abroad."""
    if number is not None and phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE:
        written: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        if _E164.fullmatch(written):
            return written
    raise NotAPhoneNumber("not a phone number")
