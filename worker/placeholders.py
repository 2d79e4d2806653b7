r"""Placeholders: what programs and forms write when they have no value.

Two people with the same placeholder would become one contact, so none of these is an identifier. The table merges what
other products reject or ignore for the same reason, and what their users run into:

======================  ================================================================================================
Mixpanel                answers 400 to ``-1 0 anon anonymous false lmy47d n/a na nil none null true undefined unknown
                        <nil> [] {}`` and the UUID of zeros ("Server-side events with no logged-in user",
                        ``mixpanel-import``)
PostHog                 never merges ``anonymous distinctid distinct_id email false guest id not_authenticated true
                        undefined [object Object] NaN None none null 0``, with or without quotes (``person-utils.ts``)
Google Analytics        reports ``(not set)``, ``(none)``, ``(not provided)``
pandas                  reads ``#N/A <NA> -nan 1.#IND`` as missing (``read_csv``, ``na_values``)
spreadsheets            show ``#REF! #VALUE! #NAME? #NULL! #DIV/0! #ERROR!``
JavaScript, Java, Go,   print ``[object ...]``, ``NaN``, ``System.Object[]``, ``<nil>``, ``%!s(<nil>)``, ``(null)``,
.NET, Objective-C, PHP  ``Array``, ``<built-in function id>``
MySQL, PostgreSQL       export ``\N`` for NULL
templates               that were not filled in: ``{{user.id}}`` (Liquid, Handlebars, Typeform, Zapier), ``{user_id}``
                        (Gravity Forms, Smarty), ``%user_id%``, ``%%user_id%%`` (Salesforce), ``${id}``, ``$USER_ID``,
                        ``#{id}``, ``@{id}`` (Azure), ``<user id>``, ``<%= id %>`` (ERB), ``*|ID|*`` (Mailchimp),
                        ``[[id]]`` (GetResponse), ``[your-email]`` (Contact Form 7), ``__USER_ID__``, ``:user_id``
form fields             without a default: Typeform sends ``xxxxx`` for a hidden field that its address leaves out
addresses               have templates escaped: ``%7B%7Buser.id%7D%7D``
Swagger UI, Go          ``string`` as the example of a text; ``<no value>``
shops                   0 for the customer of a guest's order (WooCommerce)
======================  ================================================================================================

What looks similar and is an identifier: small numbers (``5``, ``42``), leading zeros (``000123``), short repetitions
(``aaaa``, ``1111``), ``test``, ``admin``, ``user`` and ``nobody``. A source can allow others by name
(``allow_identifiers``).
"""

import html
import re
from collections.abc import Collection
from urllib.parse import unquote

#: In lower case, without the brackets and quotes around them.
_NO_VALUE = {
    *(
        "undefined",
        "null",
        "none",
        "nil",
        "nan",
        "-nan",
        "n/a",
        "n.a.",
        "n.a",
        "na",
        "infinity",
        "-infinity",
        "-1",
        "\\n",
    ),
    *(
        "1.#ind",
        "-1.#ind",
        "1.#qnan",
        "-1.#qnan",
        "dbnull",
        "system.dbnull",
        "nonetype",
        "array",
        "system.object",
        "lmy47d",
    ),
}
_ERRORS = {"#n/a", "#na", "#ref!", "#value!", "#name?", "#null!", "#div/0!", "#num!", "#error!"}
_NOBODY = {
    *("anonymous", "anon", "guest", "unknown", "unidentified", "not_authenticated", "not authenticated"),
    *("unauthenticated", "not logged in", "not_logged_in", "logged_out", "not set", "not_set", "not provided"),
    *("not_provided", "not available", "not applicable", "no id", "no_id", "noid", "no user", "no_user", "nouser"),
    *("anonymous user", "anonymous_user", "anonymoususer", "guest user", "guest_user", "unknown user"),
    *(
        "no value",
        "empty",
        "unspecified",
        "not found",
        "not_found",
        "no-id",
        "no-user",
        "string",
        "tbd",
        "todo",
        "fixme",
        "changeme",
        "change_me",
        "change-me",
        "replace_me",
        "replace-me",
        "placeholder",
    ),
}
_ANSWERS = {"true", "false", "yes", "no", "on", "off"}
_OWNERS = (
    *("user", "customer", "contact", "account", "member", "client", "visitor", "external", "distinct", "anonymous"),
    *("your", "some", "your user", "your_user", "your-user"),
)
#: The name of the field in the place of its value, with any separator.
_FIELD_NAMES = {
    *("id", "uid", "uuid", "guid", "identifier", "email", "e-mail", "email_address", "email address"),
    *(f"{owner}{separator}id" for owner in _OWNERS for separator in ("", "_", "-", " ")),
}
WORDS = frozenset(_NO_VALUE | _ERRORS | _NOBODY | _ANSWERS | _FIELD_NAMES)

#: What can be between single brackets: a name, and what template languages allow around it. A UUID in braces is none.
_NAME = r"(?![0-9a-fA-F]{8}-)[\s$!?@#=^&/]*[^\W\d][^\[\]{}()<%|\"]*"
_INSIDE = re.compile(
    r"\{\{.*?(?:\}\}+|\Z)|\{%.*?%\}|<%.*?%>|[$#@%]\{.*?\}|\$\(.*?\)|\*\|.*?\|\*|\[\[.*?\]\]|%%[^%]+%%", re.DOTALL
)
_WHOLE = re.compile(
    rf"\{{{_NAME}(?:\([^()]*\))?\}}|\[{_NAME}\]|%{_NAME}%|\|{_NAME}\||«{_NAME}»|@{_NAME}@|##?{_NAME}##?|__\w+__|~{_NAME}~"
    r"|#?<.*>|\$\.?[A-Za-z_][\w.\[\]]*|:[A-Za-z_]\w*|%\(?\w*\)?\d*\$?[sdiv@]|%!\w\(.*\)|\{\d*\}|\[object \w+\]"
    r"|[\w.]+\[\]|function\b.*",
    re.DOTALL,
)
#: A program's words behind the kind of the id, as in ``user-undefined`` and ``auth0|null``.
_AFTER_A_PREFIX = re.compile(
    r"(?:[\w.]*[-_:|/.#])?(?:undefined|\[object \w+\])"
    r"|(?:user|usr|u|uid|customer|cus|contact|member|account|client|visitor|lead|person|id|auth0)[-_:|/.#]"
    r"(?:null|none|nil|nan)"
    r"|(?:[a-z]+[-_ ])*id[-_ ](?:goes[-_ ])?here|(?:undefined|null|none|nan)@(?:undefined|null|none|nan)"
    r"|(?:undefined|null|nan)+(?:[\s,_|/-]+(?:undefined|null|nan|none))*",
    re.IGNORECASE,
)
#: A UUID of zeros but for its version (RFC 9562), one whose digits were never drawn, and Ethereum's zero address.
_EMPTY_UUID = re.compile(
    r"0x0+|0{8}-0{4}-[0-9a-f]0{3}-[089ab]0{3}-0{12}|x{8}-x{4}-[0-9x]x{3}-[xy]x{3}-x{12}", re.IGNORECASE
)
#: Most identifiers: a UUID in lower case that does not begin with one digit eight times.
_PLAIN_UUID = re.compile(r"(?!(.)\1{7})[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: One of these is in everything above that is not a word, or it ends like this, or begins as it ends.
_SUSPECT = re.compile(r"[{<\[*%$&«#(\u201c\u2018`]")
_ENDINGS = ("here", "undefined", "null", "none", "nil", "nan", "0", "/", ".", "-")
_QUOTES = {'"': '"', "'": "'", "`": "`", "(": ")", "[": "]", "<": ">", "{": "}", "\u201c": "\u201d", "\u2018": "\u2019"}
_SEPARATORS = str.maketrans("", "", "-_. :/")
#: The shortest repetition that is a placeholder: x masks a value, zeros are none, and an id can be 1111 or aaaa.
_MASK, _LETTERS, _DIGITS, _LONGEST = 2, 5, 8, 64
#: Dashes and dots beyond ASCII that are written for nothing.
_DASHES = frozenset("\u2013\u2014\u2026\u00b7\u2022")

#: What a name is when there is none. Null, Nil and Nan are names, too, but hardly alone or so written.
_NOT_NAMES = _ERRORS | {
    *("undefined", "null", "none", "n/a", "n.a.", "not set", "not provided", "not available", "no name", "noname"),
}
#: What a template for a name contains; people decorate names with brackets and tildes, too.
_FIELD_OF_A_NAME = re.compile(
    "name|first|last|user|contact|customer|field|object|null|nil|undefined|none", re.IGNORECASE
)
#: One of these is in every name that is not used as it is, or it begins with punctuation. (Fernandez and Danilo have no
#: word that ends so.)
_SUSPECT_NAME = re.compile(_SUSPECT.pattern + r"|undefined|n(?:ull|an\b|one\b|il\b|/a|\.a\.|ot |o ?name)")
_NO_WORDS = frozenset({"undefined", "null", "none", "nil", "nan", "n/a", "n.a."})
#: Missing parts that a program has joined, with or without punctuation.
_NO_PARTS = re.compile(r"(?:mrs?|ms|dr)\.?\s+(?:null|undefined)|(?:(?:null|undefined)[\s,;._/|-]*)+", re.IGNORECASE)
_NOT_IN_NAMES = frozenset(
    {"undefined", "null", "NaN", "None", "N/A", "n/a", "(null)", "<nil>", "(none)", "[object", "Object]"}
)


def is_placeholder(text: str, allowed: Collection[str] = ()) -> bool:
    """Whether ``text`` stands for no identifier; ``allowed`` are real ones."""
    word = text.lower()
    if _PLAIN_UUID.fullmatch(word):
        return False
    if word in WORDS:
        return text not in allowed
    is_plain = word[:1] not in (word[-1:], ":") and not word.endswith(_ENDINGS) and _SUSPECT.search(text) is None
    return not is_plain and _is_pattern(word, text) and text not in allowed


def has_template(text: str) -> bool:
    """Whether a template inside ``text`` was not filled in."""
    return _INSIDE.search(text) is not None


def without_placeholders(name: str) -> str:
    """Return a name without what a program wrote for missing parts."""
    is_plain = name[:1].isalnum() and _SUSPECT_NAME.search(name.lower()) is None
    return name if is_plain else _without_parts(name)


def _without_parts(name: str) -> str:
    name = _INSIDE.sub(" ", name)
    is_field = _WHOLE.fullmatch(name) is not None and _FIELD_OF_A_NAME.search(name) is not None
    if is_field or _unquoted(name.strip().lower()) in _NOT_NAMES or _is_punctuation(name):
        return ""
    if _NO_PARTS.fullmatch(name.strip()):
        return ""
    words = name.split()
    if all(_unquoted(word.lower()) in _NO_WORDS for word in words):
        return ""
    bare = [(word, word.strip(",;.")) for word in words]
    kept = [word for word, text in bare if text not in _NOT_IN_NAMES and text.lower() != "undefined"]
    return " ".join(kept)


def _is_pattern(word: str, text: str) -> bool:
    if "%" in text or "&" in text:
        text = html.unescape(unquote(text))
        word = text.lower()
    bare = _unquoted(word)
    patterns = (_AFTER_A_PREFIX, _EMPTY_UUID)
    return (
        _is_repetition(word)
        or bare in WORDS
        or has_template(text)
        or _WHOLE.fullmatch(text.strip("\"'`")) is not None
        or any(one.fullmatch(bare) for one in patterns)
    )


def _is_repetition(word: str) -> bool:
    """Whether a text has no letter or digit, or only a single one, again and again."""
    if _is_punctuation(word):
        return True
    bare = word.translate(_SEPARATORS)
    first = bare[:1]
    if bare != first * len(bare) or len(bare) > _LONGEST:
        return False
    if first == "0":
        return True
    shortest = _MASK if first in "x*" else _DIGITS if first.isdigit() else _LETTERS
    return len(bare) >= shortest


def _is_punctuation(text: str) -> bool:
    return all(character in _DASHES or (character.isascii() and not character.isalnum()) for character in text)


def _unquoted(word: str) -> str:
    """Return what is inside quotes or brackets, however many."""
    while len(word) > 2 and _QUOTES.get(word[0]) == word[-1]:
        word = word[1:-1].strip()
    return word
