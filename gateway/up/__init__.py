"""``gateway up``: which processes a whole gateway is on one machine, and what each of them is told.

``settings`` what the user may say, ``listening`` which addresses are needed and whether they are free,
``run_directory`` the private folder of one run, ``wiring`` the processes and their environments (pure),
``announcement`` what people read when it is up, ``runner`` wires it all.
"""
