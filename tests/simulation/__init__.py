"""Maker's own coordinator, workers and journal in a world where everything that can go wrong does, by a seed.

    world.py      virtual time, processes that die, pause and wake, machines that lose power
    disk.py       a disk that dies, tears, fills up and forgets what was not synced
    network.py    calls to workers that get lost, come late or twice
    endpoint.py   the task, and a model with a call log of its own
    scenario.py   what happens in one seed
    auditor.py    judges a run from its files and the endpoint's log; shares no code with Maker
    mutants.py    planted bugs, each of which the auditor must catch

`python -m tests.simulation --seeds 10000` (or `make simulate SEEDS=10000`); `--seed N` repeats one.
"""
