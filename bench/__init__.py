"""What LiveDesk Sync costs, compared with the receiver and task of a tutorial.

Run ``python -m bench``; the README beside this file says what is measured and against what.
"""
