"""The hands: holds leases, never sees the database.

One worker serves one kind. It dials control (``session``), keeps leases (``pool``), puts jobs into a socket that all its
runners read (``feed``) and turns what the runners say into outcomes (``slot``, ``death``). ``inside`` and ``runner`` are
what runs beside the user's code: the standard library, cloudpickle and the floor's payload and describe, nothing else.
"""
