"""What cannot be a preset, and the way round: what, why, what to do instead."""

#: Meta, LinkedIn and Squarespace all have connections in automation tools, which fetch what is behind the id.
_TOOL = (
    "Let an automation tool that is connected to it (Zapier, Make, n8n) fetch the person and post them to a source "
    "with the preset `generic-bearer`."
)

UNSUPPORTED = (
    (
        "HubSpot app webhooks (`contact.creation`)",
        "Their body is a list of object ids.",
        "Use a workflow's webhook: the preset `hubspot-workflow`.",
    ),
    (
        "Meta Lead Ads (Facebook, Instagram)",
        "The delivery names a `leadgen_id`; the answers have to be asked for with a page's token.",
        _TOOL,
    ),
    (
        "LinkedIn Lead Gen Forms",
        "The delivery names a `leadGenFormResponse`; the answers have to be asked for with an approved app's token.",
        _TOOL,
    ),
    (
        "Squarespace",
        "There is no event for a new person, and an order's delivery holds only its id.",
        _TOOL,
    ),
)
