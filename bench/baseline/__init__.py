"""The baseline: a sign-up webhook with Flask and Celery as any tutorial writes it.

``delay()`` in the view, ``requests.post`` in the task, defaults everywhere else. It checks the same signature over the
same bodies as LiveDesk Sync does in the same run, so that neither side is spared that work.
"""
