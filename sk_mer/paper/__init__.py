"""The tables and figures of the MTE paper as commands: ``python -m sk_mer.paper``.

``reading`` finds out what a folder holds, ``systems`` builds estimators, ``runs`` fits and
scores them, ``cells`` keeps what is finished, ``tables`` and ``figures`` put it together,
``pages`` writes it.
"""
