"""The whole system as processes, with injected faults and an external judge.

``python -m tests.faults --seed 7`` repeats a run; ``--plan`` prints what it would do. Read it in this order:

``plan``      what happens when: a pure function of the seed
``people``    who signs up: data that is recognised wherever it turns up
``proxy``     a link that can be cut, delayed, reset in mid-answer, or go silent
``rig``       the processes, their links and their clocks; one Redis, or one with a replica and sentinels
``inject``    what each kind of fault does, and how it is healed
``sender``    delivers, and repeats what was not answered with 200
``watch``     looks on meanwhile: leases, processes that end, what they use
``judge``     what must be true afterwards, each broken promise a sentence
``order``     whether results were written in the order of their attempts
``run``       one run from its seed to its verdict
``report``    the progress bar and the table
``sabotage``  deliberate bugs, which must be found
"""
