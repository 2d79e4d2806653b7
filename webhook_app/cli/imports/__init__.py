"""``flask import``: contacts from a file.

``command``      the command and its options
``run``          one run: opens the file, imports, reports, records
``reading``      the rows of CSV and JSON files, as programs and spreadsheets write them
``columns``      which column is which field
``advice``       what to do about columns that are unknown; ``suggestions`` guesses what a name means
``formats``      how products export their people
``importer``     rows to contacts, stored in chunks
``report``       counts, problems by kind, and the file of invalid rows
"""

from webhook_app.cli.imports import command

__all__ = ["command"]
