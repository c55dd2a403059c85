"""A broker that speaks the real protocol, for tests, demos and people without one. Shares only framing and messages.

`service/broker.py` is the pure core, `serving/server.py` carries it over sockets. What it does follows the behaviour
sheet of the wire; where evidence is divided there is a switch (`switches.py`).
"""
