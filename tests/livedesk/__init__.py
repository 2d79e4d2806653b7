"""The stand-in: an imitation of the LiveDesk contacts API that can misbehave.

On its own: ``python -m tests.livedesk --port 9100``. In a test::

    with serve(port=0) as standin:
        standin.behave("commit_then_500", times=1, on="create")
        ... send to standin.url ...
        assert len(standin.ledger()) == 1

It answers ``/api/v2/accounts/contacts`` as livedesk-api.md 2.1 to 2.9 describes: what Chatwoot's source does, behind
LiveDesk's paths and HTTP Basic (``demo-key`` / ``demo-secret``). It has no rate limit; see ``throttle``. LiveDesk's
pages do not mention that one contact can be read or deleted, so only ``by_id`` (``--by-id``) offers that. Chatwoot
deletes for administrators only: let ``unauthorized`` with the shape ``not_authorized`` answer ``delete`` for others.

Control
-------
JSON over HTTP, without credentials, not affected by rules. An invalid request is answered 400 with ``error``.

==================================  ===================================================================================
``POST /_control/behave``           add a rule (see below); returns it with its ``id``
``GET /_control/behave``            the active rules, each with the uses that are ``left``
``DELETE /_control/behave``         drop all rules
``GET /_control/ledger``            every create that was executed: time, identifier, contact_id, email, request
``GET /_control/requests[?kind=]``  every request: kind, when it arrived, was executed and ended, its answer; the
                                    body of creates and updates
``GET /_control/stats``             counts; ``duplicates`` and ``overlaps`` should be 0
``GET /_control/contacts``          the book; ``?identifier=`` for those with exactly this one
``POST /_control/contacts``         insert a contact as the widget or an agent would; with ``"unchecked": true`` even
                                    one that breaks the rules (a second with the same identifier, an old phone number)
``POST /_control/fill``             ``{"count": n, "oldest_s": seconds, "newest_s": seconds}``: insert ``n`` contacts,
                                    created one after another between so many seconds ago
``POST /_control/inbox``            ``{"id": id, "channel_type": "Channel::Email"}``: add an inbox, or change its type
                                    (``inbox.py``); some need an e-mail address or a phone number, some refuse everybody
``POST /_control/merge``            ``{"base": id, "mergee": id}``
``POST /_control/delete``           ``{"id": id}``
``POST /_control/edit``             ``{"id": id, "name": ..., ...}``: change a contact as an agent would
``POST /_control/presence``         ``{"id": id, "online": true}``: the contact has the widget open, or no longer
``POST /_control/credentials``      ``{"api_key": ..., "api_secret": ...}``: only these are valid from now on
``POST /_control/reset``            forget everything; delayed requests are dropped unexecuted
==================================  ===================================================================================

A rule
------
``{"mode": "<name>", ...}``; several can be active, the first that applies to a request wins.

* ``on``: ``create``, ``search`` (lists too), ``update``, ``read``, ``delete`` or ``any``. The default is ``any`` or
  what the mode is about.
* ``identifier``: only requests about exactly this one: in the body, as ``q``, or of the contact that is updated.
* ``share``: apply to this share of the requests, 0 to 1; ``seed`` makes the choice repeatable.
* ``times``: how many times it applies; null (default): until it is cleared. Counted atomically.
* ``commit``: whether the request is executed. By default it is in modes marked +, and is not in those marked -; for
  the others, see their line.

Modes
-----
Answers lost, late or slow:

* ``commit_then_500`` +: 500; ``shape`` (see below).
* ``commit_then_hang``: executed, then silence until the client leaves, or ``delay`` seconds and a hang-up.
* ``commit_then_reset``: executed, then RST.
* ``commit_then_close``: executed, then FIN without an answer.
* ``commit_then_truncate``: executed, then half of the body, short of its Content-Length, and FIN.
* ``hang_then_commit``: executed after ``delay`` seconds (1), whether or not the client is still there.
* ``reset`` -: RST. ``close`` -: FIN. ``garbage`` -: bytes that are not HTTP, and FIN.
* ``hang``: silence until the client leaves, or ``delay`` seconds and a hang-up; never executed.
* ``slow``: the normal answer after ``delay`` seconds (1); not executed if the client leaves before.
* ``drip``: the normal answer one byte at a time, ``delay`` seconds apart (0.005).
* ``idle_close``: the normal answer, then a keep-alive connection that is closed without a word.

Errors; all accept ``status``, ``shape`` and ``retry_after`` unless their line says otherwise:

* ``status`` -: any ``status`` (500), with ``body`` as ``content_type`` (JSON) or a ``shape``.
* ``status_500`` -, ``html_502`` -, ``html_503`` -, ``status_504`` -: as Rails, or as a gateway's page.
* ``throttle`` -: 429, text/plain, ``Retry later``. ``retry_after``: a number of seconds, or any text; with
  ``as_date`` an HTTP date that many seconds from now. Without it there is no Retry-After, as with rack-attack.
* ``unauthorized`` -: 401. ``forbidden`` -: 403. ``not_found`` -: 404. ``method_not_allowed`` -: 405.
* ``redirect`` -: ``status`` (302) to ``location`` (``/elsewhere``); a client that follows it sends a request of kind
  ``other``.

``shape`` of an error's body: ``error_text`` (``{"error": "Invalid Access Token"}``), ``errors_list`` (Devise),
``suspended``, ``not_authorized``, ``not_found``, ``rails`` (``{"status", "error"}``), ``error_object``
(``{"error": {"code", "message"}}``), ``code_message``, ``message_attributes``, ``text``, ``html``, ``empty``.

Unusable 2xx answers; unmarked modes send the normal answer if that is not 2xx:

* ``html_200`` +, ``empty_200`` +: a page; nothing.
* ``huge_200`` +: ``size`` bytes of JSON, or chunks without end.
* ``deep_json_200`` +: lists ``depth`` deep (100,000).
* ``wrong_types_200``: one thing of the wrong type. ``shape``: ``id_list`` (default), ``id_true``, ``id_object``,
  ``id_negative``, ``id_fraction``, ``id_words``, ``contact_text``, ``contact_null``, ``payload_text``,
  ``payload_null``, ``payload_number``, ``payload_texts``, ``meta_null``, ``top_text``, ``top_list``, ``top_null``,
  ``top_number``.
* ``string_id``: ids as texts of digits (harmless; LiveDesk's pages type them so). ``no_id_200``: no ids.
* ``bad_gzip``: Content-Encoding gzip over ``shape`` ``garbage`` (default) or a stream ``cut`` short.
* ``bad_content_length``: ``length`` as Content-Length: any text, or ``short`` (default), half of the true one with
  the rest of the body left in the open connection.

What is stored, shown or found is not what was sent:

* ``null_identifier_echo``, ``other_identifier_echo`` (``echo``): stored correctly, shown as null, as another one.
* ``identifier_not_stored``: the contact is created without it, so every create makes another one.
* ``identifier_not_unique``: a taken identifier is accepted, so every such create makes another contact.
* ``attributes_not_stored``: a create drops both kinds of attributes (with ``on``: an update); LiveDesk's pages do not
  list them for a create, but Chatwoot accepts them.
* ``attributes_not_merged``: an update replaces all attributes of a kind by those that it sends.
* ``chatwoot_sort``: ``sort=-created_at`` lists the newest first; ``direction`` is ignored, as in Chatwoot.
* ``newer_search``: as ``chatwoot_sort``; a number also finds the contact with this id, and other e-mail addresses of a
  contact (``other_emails``) are searched, as in later versions of Chatwoot.
* ``q_ignored``: searches list everybody. ``endless_pages``: endless full pages of identifiers that contain ``q``.
* ``invisible``: never found, though creates collide; ``identifier`` names one contact, otherwise all.
* ``crm_v2``: as ``invisible``, for contacts with nothing but an identifier (Chatwoot's flag of that name).
* ``search_lag``: as ``invisible``, for contacts younger than ``delay`` seconds (1).
* ``index_race_500``: a taken identifier or e-mail answers 500, as if the unique index was hit, not 422.
* ``localised``: the messages of a 422 in ``language`` (``zh``, ``de``).

Not offered: refusing connections, which a listening server cannot do. Tests use a closed port for that.
"""

from tests.livedesk.book import Book
from tests.livedesk.client import StandIn, StandInError
from tests.livedesk.contact import Contact
from tests.livedesk.ledger import LedgerEntry, RequestRecord, Stats
from tests.livedesk.modes import MODES
from tests.livedesk.server import serve

__all__ = ["MODES", "Book", "Contact", "LedgerEntry", "RequestRecord", "StandIn", "StandInError", "Stats", "serve"]
