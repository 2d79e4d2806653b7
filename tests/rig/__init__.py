"""The whole system as processes, for ``make run``, end-to-end tests and bench.

=============  ========================================================================
``processes``  one child process: start, wait until it is ready, stop, kill, pause
``reaper``     kills the children of a parent that was killed
``valkey``     the Redis server that is part of a Python wheel
``sentinel``   a Redis that fails over: primary, replicas, sentinels
``parts``      the processes of LiveDesk Sync, and ``Stack``: all of them together
``local``      what ``make run`` starts, decided by the environment and ``.env``
``screen``     what ``make run`` prints
``__main__``   ``make run``
=============  ========================================================================

In a test::

    with Stack.on_free_ports(tmp_path) as stack:
        requests.post(f"{stack.url}/webhooks/signup", ...)
        stack.workers[0].kill()
"""
