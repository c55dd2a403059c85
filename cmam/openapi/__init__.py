"""The wire: the Spotware Open API, without IO except in `transport.py`.

Only this folder imports protobuf and `ssl`. Vendor names stop at `translate.py`.
"""
