"""The names of countries in all languages, for ``worker/country_names.json``.

``phonenumbers`` has them in a module that takes 100 MB and half a second to load, while nothing else runs. After an
update of ``phonenumbers``: ``python -m tests.worker.country_names``.
"""

import json
from pathlib import Path

FILE = Path(__file__).parents[2] / "worker" / "country_names.json"


def country_names() -> dict[str, str]:
    """Return the region of each name."""
    from phonenumbers.geodata.locale import LOCALE_DATA  # not in each process that collects the tests

    found = {
        name.casefold(): region
        for region, names in LOCALE_DATA.items()
        for name in names.values()
        if not name.startswith("*")  # the same as in another language
    }
    return dict(sorted(found.items()))


if __name__ == "__main__":
    FILE.write_text(json.dumps(country_names(), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
