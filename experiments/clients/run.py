"""Runs every client, each in the environment of its library: ``python -m experiments.clients.run [NAME ...]``.

``--environments FOLDER`` holds one virtual environment a client, made by ``--install`` where it is missing: it borrows
the packages of the Python that runs this and adds what :mod:`experiments.clients.requirements` names.
"""
