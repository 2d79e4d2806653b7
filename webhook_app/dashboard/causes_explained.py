"""What a cause means, and what a person can do about it."""

import re

from worker.findings import BROKEN

#: Causes that are about one contact: what is so, and what to do.
ABOUT_CONTACTS = {
    "email_taken": (
        "another contact in LiveDesk has its e-mail address",
        "Compare the two, then adopt that one, create this one without the address, or discard it.",
    ),
    "phone_number_taken": (
        "another contact in LiveDesk has its phone number",
        "Compare the two, then adopt that one, create this one without the number, or discard it.",
    ),
    "exists_but_not_found": (
        "LiveDesk says that it has this identifier, and no search finds it",
        "Look in LiveDesk, by hand, and adopt the contact that is meant.",
    ),
    "identifier_found_twice": (
        "LiveDesk has this identifier twice",
        "Merge the two in LiveDesk, then retry.",
    ),
    "cannot_be_looked_up": (
        "the answer to a create was lost, and LiveDesk's search does not show such contacts",
        "Look in LiveDesk, by hand: if it is there adopt it, else retry.",
    ),
    "worker_died": ("workers died while they were at it", "Retry one, and look at the workers' logs."),
    "poisonous": (
        "LiveDesk fails on this contact again and again while it answers others",
        "Edit what may break it, or ask LiveDesk's support, then retry.",
    ),
    "inbox_not_found": ("LiveDesk does not know its inbox", "Mend LIVEDESK_INBOX_ID, or the inbox of its source."),
    "inbox_missing": ("it names no inbox, and LIVEDESK_INBOX_ID is not set", "Set LIVEDESK_INBOX_ID."),
    "answer_for_another_contact": ("LiveDesk answered about another contact", "Ask LiveDesk's support."),
    "contact_gone": ("the contact to adopt was gone", "Retry."),
    "other": ("there are too many different causes to tell them apart", "See the answer of its last attempt."),
}


def explain(cause: str | None) -> tuple[str, str]:
    """What is so, as the end of a sentence, and what to do, as a sentence. An unknown cause is repeated."""
    if cause is None:
        return "nothing went wrong yet", ""
    if cause in ABOUT_CONTACTS:
        return ABOUT_CONTACTS[cause]
    if cause in BROKEN:
        _, text, todo = BROKEN[cause]
        return f"{text[0].lower() if text.startswith(('It ', 'The ', 'No ')) else text[0]}{text[1:].rstrip('.')}", todo
    if refused := re.fullmatch(r"([a-z_]+)_refused", cause):
        return f"LiveDesk does not take its {refused[1].replace('_', ' ')}", "Edit it, then retry."
    if status := re.fullmatch(r"http_([0-9]{3})", cause):
        return f"LiveDesk answered {status[1]}", "" if status[1] >= "500" else "See its answer below; edit, then retry."
    return cause, ""
