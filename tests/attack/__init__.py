"""Attacks on a running receiver: clients that are slow, requests that are hostile.

``slow``     a crowd of silent and trickling clients, and what good clients notice of it
``hostile``  a generator of hostile requests, and what sends them
``soak``     memory, threads and connections of every process over a long time

``python -m tests.attack`` runs the long forms (``--help``).
"""
