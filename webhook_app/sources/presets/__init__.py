"""Ready-made sources: each an entry in the shape of a source in the sources file, which may override any part of it.

To add one: write the entry (``preset`` says what belongs into it), put a sample of the product's delivery into
``webhook_app/sources/presets/samples/`` under the preset's name, and run ``python -m webhook_app.sources.docs``.
"""

from collections.abc import Mapping

from webhook_app.sources.mapping.rules import FIELDS
from webhook_app.sources.presets import communities, crm, forms, generic, identity, selfhosted, shops
from webhook_app.sources.presets.preset import Preset

#: What a source without a ``map`` takes: a contact in LiveDesk's own words, bare or as a Standard Webhooks ``data``.
OWN_WORDS: Mapping[str, object] = {
    "contact": ["$", "$.data"],
    "map": {field: f"$.{field}" for field in FIELDS},
}

#: The presets as ``docs/sources.md`` groups them.
FAMILIES: Mapping[str, Mapping[str, Preset]] = {
    "Your own code and common standards": generic.PRESETS,
    "Identity services": identity.PRESETS,
    "Identity systems that you run or program yourself": selfhosted.PRESETS,
    "Shops and billing": shops.PRESETS,
    "Forms and bookings": forms.PRESETS,
    "Communities, newsletters and sites": communities.PRESETS,
    "CRM and customer data": crm.PRESETS,
}

PRESETS: Mapping[str, Preset] = {name: preset for family in FAMILIES.values() for name, preset in family.items()}
