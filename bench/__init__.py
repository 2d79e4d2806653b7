"""What LiveDesk Sync costs, measured against the Flask + Celery receiver and task of any tutorial.

Run ``python -m bench``; the README beside this file says what is measured and against what.
"""
