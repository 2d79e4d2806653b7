"""The labels of forms: what they ask for, and about whom. To support another one, add a line."""

import pytest

from tests.quick import QUICK_S, seconds
from webhook_app.sources.mapping.labels import MAX_LABEL, Meaning, understand

EMAIL = [
    "Email",
    "E-mail address",
    "E-Mail-Adresse*",
    "Correo electr\u00f3nico",
    "Courriel",
    "Adresse e-mail (obligatoire)",
    "\u042d\u043b\u0435\u043a\u0442\u0440\u043e\u043d\u043d\u0430\u044f \u043f\u043e\u0447\u0442\u0430",
    "\u90ae\u7bb1",
    "\u30e1\u30fc\u30eb\u30a2\u30c9\u30ec\u30b9",
    "\uc774\uba54\uc77c",
    "E-posta adresiniz",
    "S\u00e4hk\u00f6posti",
    "Email 2",  # Webflow's name for the second field with a label
    "q4_email4",  # Jotform's unique names
    "Applicant's e-mail",
    "Email of primary contact",
    "Email of the person who is filling out this form",
    "Ihre E-Mail-Adresse (Erziehungsberechtigter)",
    "E-mail de l'entreprise",
    "What's your company's email?",
    "E-Mail des Teilnehmers",
    "Correo del participante",
    "Your email, so that your friend knows who sent it",
]
PHONE = [
    "Phone Number",
    "Telefonnummer",
    "S\u1ed1 \u0111i\u1ec7n tho\u1ea1i",
    "Nomor telepon",
    "T\u00e9l\u00e9phone",
    "Tel\u00e9fono m\u00f3vil",
    "Handy",
    "Celular / WhatsApp",
    "q5_phoneNumber",
    "\u7535\u8bdd",
    "\u643a\u5e2f\u96fb\u8a71",
    "\uc804\ud654\ubc88\ud638",
    "\u0422\u0435\u043b\u0435\u0444\u043e\u043d",
    "GSM",
    "Num\u00e9ro de t\u00e9l\u00e9phone",
]
NAME = [
    "Name",
    "What is your name?",
    "Hello, what's your name?",  # a published Typeform response
    "Name (required)",
    "Name as shown on passport",
    "First things first:\nwhat is your *name*?",
    "Hi! **Your name**, please",
    "Nom",
    "Nombre",
    "Ihr Name",
    "Wie hei\u00dfen Sie?",
    "\u00bfC\u00f3mo te llamas?",
    "Name 3",
    "name-2",
    "q3_studentsName",  # zulip/zulip, zerver/webhooks/jotform/fixtures/response.multipart
]
FULL_NAME = [
    "First & Last",
    "Ad Soyad",
    "H\u1ecd v\u00e0 t\u00ean",
    "Full Name",
    "q11_fullName",
    "Vor- und Nachname",
    "Nom et pr\u00e9nom",
    "Nombre y apellidos",
    "Nome e cognome",
    "Imi\u0119 i nazwisko",
    "\u59d3\u540d",
    "\u60a8\u7684\u59d3\u540d",
    "\u304a\u540d\u524d\uff08\u5fc5\u9808\uff09",
    "\uc131\ud568",
    "\u0424\u0418\u041e",
]
FIRST_NAME = [
    "First",
    "Name, first",
    "Given name(s)",
    "Jak masz na imi\u0119?",
    "First name",
    "Your First Name:",
    "What is your first name?",
    "Vorname",
    "Pr\u00e9nom",
    "Voornaam",
    "FNAME",
    "\u0418\u043c\u044f",
    "Ad\u0131n\u0131z",
]
LAST_NAME = [
    "Last Name",
    "Hi {{field:abc}}, what's your *last name*?",
    "Nachname",
    "Apellidos",
    "Cognome",
    "Nazwisko",
    "LNAME",
    "\u0424\u0430\u043c\u0438\u043b\u0438\u044f",
    "Soyad\u0131",
]
#: Names of things, and what only looks like a name.
NO_NAME = [
    "Company name",
    "Your company's name",
    "Name of your dog",
    "What's the name of your product?",
    "Username",
    "Firmenname",
    "Nombre de la empresa",
    "Nom de l'entreprise",
    "\u516c\u53f8\u540d\u79f0",
    "\u4f1a\u793e\u540d",
    "Which ad did you see?",
    "Name des Hundes",
    "How did you hear about us?",
    "Is this your first time here?",
    "Last order",
    "Project name",
]
#: Somebody else than the person who fills in the form.
OTHER = [
    "Friend's e-mail",
    "Friend\u2019s name",
    "q6_friendsEmail",
    "Friend&#039;s e-mail",
    "Fri\u200bend's e-mail\ufeff",
    "Referrer's e-mail",
    "Emergency contact name",
    "Emergency phone",
    "Company e-mail of your manager",
    "E-mail eines Freundes",
    "E-Mail-Adresse Ihrer Freundin",
    "Telefon im Notfall",
    "Correo electr\u00f3nico de tu amigo",
    "Adresse e-mail d'un ami",
    "Nom du contact d'urgence",
    "E-mail van uw vriend",
    "Email do respons\u00e1vel",
    "\u670b\u53cb\u7684\u90ae\u7bb1",
    "\u7d27\u6025\u8054\u7cfb\u4eba\u7535\u8bdd",
    "\u7d39\u4ecb\u8005\u306e\u30e1\u30fc\u30eb",
    "\u041f\u043e\u0447\u0442\u0430 \u0434\u0440\u0443\u0433\u0430",
    "Their Email Address:",  # a Typeform response of a referral form, pastebin.com/zW0tGLEe
    "Dean's e-mail",
    "Buddy's name",
    "Reference 1: Email",
    "Persona de contacto en caso de emergencia",
    "E-mail przyjaciela",
    "Arkada\u015f\u0131n\u0131n e-postas\u0131",
    "\uce5c\uad6c \uc774\uba54\uc77c",
    "e-mail of the landlady",
    "E-Mail des Dekans",
    "Who referred you? (e-mail)",
    "Partner's phone number",
    "First Name of Child",
    "Name of the person who recommended us",
]
SECOND = ["Alternative e-mail", "Confirm e-mail", "E-Mail wiederholen", "Secondary phone", "Correo alternativo"]


@pytest.mark.parametrize(
    ("label", "subject"),
    [
        *((label, "email") for label in EMAIL),
        *((label, "phone_number") for label in PHONE),
        *((label, "name") for label in NAME),
        *((label, "full_name") for label in FULL_NAME),
        *((label, "first_name") for label in FIRST_NAME),
        *((label, "last_name") for label in LAST_NAME),
    ],
)
def test_a_label_asks_the_person_for(label: str, subject: str) -> None:
    assert understand(label) == Meaning(frozenset({subject}))


@pytest.mark.parametrize("label", NO_NAME)
def test_a_label_asks_for_no_name_of_a_person(label: str) -> None:
    assert understand(label).subjects == frozenset()


@pytest.mark.parametrize("label", OTHER)
def test_a_label_means_somebody_else(label: str) -> None:
    assert understand(label).is_other


@pytest.mark.parametrize("label", SECOND)
def test_a_label_means_a_second_address(label: str) -> None:
    meaning = understand(label)
    assert (meaning.is_second, meaning.is_other) == (True, False)


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00", "*", "'s", "of", "{{", "\u00a7", "12", "e-", "\u0301"])
def test_any_text_is_a_label(text: str) -> None:
    assert not understand(text).subjects


@pytest.mark.parametrize("text", ["e-", "name of ", "friend's ", "{{", "<", "](", "\u540d", "a" * 50 + "A", "your "])
def test_a_long_label_is_read_quickly(text: str) -> None:
    understand.cache_clear()
    assert seconds(lambda: understand(text * MAX_LABEL)) < QUICK_S
