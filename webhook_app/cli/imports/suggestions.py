"""Guesses which field a column is meant to be, as a suggestion only."""

import re
from collections.abc import Collection
from difflib import get_close_matches

from webhook_app.sources.mapping.entry import NAMES
from webhook_app.sources.mapping.labels import NAMES as LABELLED_NAMES
from webhook_app.sources.mapping.labels import understand
from worker.model import ATTRIBUTE_FIELDS

#: What other programs call the fields, without spaces and signs, where ``labels`` does not know it.
OTHER_NAMES = {
    "identifier": (
        "id userid uid uuid guid customerid clientid contactid memberid accountid personid recordid externalid subject "
        "sub userkey username login kundennummer kundenid"
    ),
    "email": "mail emailaddress emailid",
    "name": "displayname customername contactname nickname",
    "phone_number": "phone mobile phoneno msisdn whatsapp",
    "avatar_url": "avatar picture photo image photourl imageurl pictureurl avatarimage profileimage profilepicture",
    "inbox_id": "inbox channel channelid",
    "country": "countrycode land pays pais paese",
    "email_verified": "emailverified verified isverified emailconfirmed verifiedemail",
}
#: The field for each subject of a label.
SUBJECTS = {
    "email": "email",
    "phone_number": "phone_number",
    "country": "country",
    **dict.fromkeys(LABELLED_NAMES, "name"),
}
_FIELDS = {word: name for name, words in OTHER_NAMES.items() for word in words.split()}
# No column is all attributes: `--map` names one of them.
_FIELDS |= {name.replace("_", ""): name for name in NAMES if name not in ATTRIBUTE_FIELDS}
_SIGNS = re.compile(r"[\W_]+")
#: How similar a misspelled name must be, from 0 to 1.
CUTOFF = 0.78


def field_named(column: str) -> str | None:
    """Return the field that a column with this name probably has."""
    word = _SIGNS.sub("", column.casefold())
    if word in _FIELDS:
        return _FIELDS[word]
    meaning = understand(column)
    if meaning.subjects and not meaning.is_other:
        return SUBJECTS[min(meaning.subjects)]
    similar = [known for known in _FIELDS if abs(len(known) - len(word)) <= 1]
    return next((_FIELDS[close] for close in get_close_matches(word, similar, n=1, cutoff=CUTOFF)), None)


def closest(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence: a known name that is similar."""
    folded = {one.casefold(): one for one in known}
    close = get_close_matches(name.casefold(), folded, n=1)
    return f'; did you mean "{" ".join(folded[close[0]].split())}"?' if close else "."
